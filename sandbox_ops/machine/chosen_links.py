"""Which links a sandbox's configuration chooses."""

from sandbox_ops.links import Links
from sandbox_ops.links.process import ProcessLinks, leading_to_a_shell
from sandbox_ops.models import SandboxConfig
from sandbox_ops.models.settings import FABRIC, LOCAL, OPENSSH

LOCAL_COMMAND = ("sh",)


def links_of(config: SandboxConfig) -> Links:
    """Return what carries bytes to a machine: for who is about to use it."""
    if config.link == FABRIC:
        from sandbox_ops.ssh import early_start

        early = early_start.begin(config)  # while the next line imports paramiko
        from sandbox_ops.ssh.connection import SandboxConnection

        return SandboxConnection(config, early=early)
    if config.link == OPENSSH:
        from sandbox_ops.ssh.openssh_links import OpensshLinks

        return OpensshLinks(config)
    return ProcessLinks(leading_to_a_shell(command_of(config)), config.label)


def command_of(config: SandboxConfig) -> tuple[str, ...]:
    """Return the words of a link that is a command."""
    return LOCAL_COMMAND if config.link == LOCAL else tuple(config.link)
