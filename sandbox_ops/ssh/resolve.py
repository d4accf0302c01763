"""Which machine is `gpu1`? As OpenSSH resolves it: `ssh -G`, from the user's own ssh_config."""

import dataclasses
import functools
import logging
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from sandbox_ops.errors import ConfigError, NextStep
from sandbox_ops.guard import this_user
from sandbox_ops.guard.user_folders import home_of
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import config_fallback, openssh_config
from sandbox_ops.ssh.resolved_host import ResolvedHost
from sandbox_ops.ssh.tokens import LocalUser

_SSH_TIMEOUT_S = 10
_LOG = logging.getLogger(__name__)


def resolve(config: SandboxConfig) -> ResolvedHost:
    """Return how the machine is reached; the configuration's own words win.

    Raises:
        ConfigError: ssh_config cannot be read, or says what ssh itself refuses.
    """
    # refuses, on either way, a host or user that could pass for an option or for shell
    command = openssh_config.lookup_of(config)
    ssh_program = shutil.which("ssh")
    resolved = _by_ssh(config, command) if ssh_program else _by_paramiko(config)
    for directive in resolved.not_honoured:
        _LOG.warning("%s: %s of ssh_config is not honoured", config.host, directive)
    changes: dict[str, object] = {}
    if config.known_hosts:
        changes["user_known_hosts_files"] = (config.known_hosts,)
    if config.identity_file:
        if not Path(config.identity_file).expanduser().is_file():
            raise ConfigError(
                f"no such identity file: {config.identity_file}",
                "Correct it where it is named: SSH_KEY_PATH, or `identity_file` of the "
                "sandbox in your own config.toml.",
                NextStep("doctor", purpose="`configuration` says which it was"),
            )
        more = (o.partition("=") for o in config.ssh_options)
        others = (value for name, _, value in more if name == "IdentityFile")
        changes["identity_files"] = (config.identity_file, *others)
        changes["identities_first"] = True
    return dataclasses.replace(resolved, **changes)  # type: ignore[arg-type]


@functools.cache
def _local_user() -> LocalUser:
    return LocalUser(
        home=str(home_of(os.environ)),
        name=this_user.account(),
        uid=os.getuid(),
        hostname=os.uname().nodename,
        environ=dict(os.environ),
    )


def _by_ssh(config: SandboxConfig, command: tuple[str, ...]) -> ResolvedHost:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SSH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError(
            f"`ssh -G {config.host}` did not answer within {_SSH_TIMEOUT_S} s",
            "A `Match exec` in your ssh_config may hang: try it by hand.",
        ) from None
    if done.returncode != 0:
        stderr = done.stderr.decode("utf-8", "replace").strip()
        raise ConfigError(
            f"ssh cannot resolve the host {config.host!r}: {stderr}",
            f"Correct your ssh_config; see how ssh reads it: ssh -G {config.host}",
        )
    output = done.stdout.decode("utf-8", "replace")
    return openssh_config.read(output, config.host, _local_user())


def _by_paramiko(config: SandboxConfig) -> ResolvedHost:
    """Resolve without an ssh client, and say what paramiko's parser cannot honour."""
    from paramiko import SSHConfig

    path = Path(config.ssh_config or "~/.ssh/config").expanduser()
    text = path.read_text("utf-8", "replace") if path.is_file() else ""
    for warning in config_fallback.warnings_for_fallback(text, config.host):
        _LOG.warning("%s (no ssh client is installed): %s", path, warning)
    options = dict(SSHConfig.from_text(text).lookup(config.host))
    for option in config.ssh_options:
        name, _, value = option.partition("=")
        options = {name.lower(): value, **_without(options, name.lower())}
    if config.port:
        options["port"] = str(config.port)
    if config.user:
        options["user"] = config.user
    return openssh_config.from_options(options, config.host, _local_user())


def _without(options: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != name}
