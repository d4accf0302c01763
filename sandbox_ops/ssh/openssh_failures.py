"""What an `ssh` that did not get in complained of, as one of our errors. Pure."""

from sandbox_ops.errors import (
    AuthenticationError,
    ConnectError,
    HostKeyError,
    NextStep,
)
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh.openssh_program import last_line


class HungMasterError(ConnectError):
    """The process that keeps the connection lives, and does not answer."""

    def __init__(self, config: SandboxConfig) -> None:
        super().__init__(
            f"the ssh that keeps the connection to {config.host} does not answer: it is "
            "suspended (Ctrl-Z, SIGSTOP)",
            "Let it go on (`fg` in its terminal), or kill it and log in again.",
        )


def explained(
    config: SandboxConfig, complaint: str, *, is_further: bool
) -> ConnectError:
    """Return the error for what ssh said.

    Args:
        config: The machine.
        complaint: Its stderr.
        is_further: Whether it was to be a connection beside one that there is.
    """
    where, name = config.host, config.name
    line = last_line(complaint)
    if "Host key verification failed" in complaint or "host key" in line.lower():
        return HostKeyError(
            f"ssh does not accept the host key of {where}: {line}",
            NextStep("trust", {"sandbox": name}, "Look at the key, and accept it"),
        )
    refused = "Permission denied" in complaint or "Too many authentication" in complaint
    if refused and is_further:
        return AuthenticationError(
            f"the connection that ssh keeps to {where} has no session left "
            "(MaxSessions of its sshd_config), and a further connection cannot be "
            f"opened without a question: {line}",
            "Wait until other commands on it have ended, or end some.",
        )
    if refused:
        return AuthenticationError(
            f"authentication failed at {where}: {line}",
            NextStep(
                "login",
                {"sandbox": name},
                "If it wants a password or a second factor, log in once in a terminal",
            ),
        )
    return ConnectError(
        f"cannot reach {where}: {line}", f"Try it by hand: ssh {where} true"
    )
