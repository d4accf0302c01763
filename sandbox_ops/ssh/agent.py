"""The ssh-agent that ssh_config names: paramiko knows that of the environment alone."""

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path

import paramiko
from paramiko.agent import AgentKey, AgentSSH

_PATIENCE_S = 10.0


def socket_path(identity_agent: str, environ: Mapping[str, str]) -> str:
    """Return where the agent listens, by IdentityAgent of ssh_config(5); "": nowhere.

    Args:
        identity_agent: As it was written, `~` and tokens expanded.
        environ: What `SSH_AUTH_SOCK` and `$NAME` stand for.
    """
    if identity_agent.lower() == "none":
        return ""
    if identity_agent in {"", "SSH_AUTH_SOCK"}:
        return environ.get("SSH_AUTH_SOCK", "")
    if identity_agent.startswith("$"):
        return environ.get(identity_agent[1:].strip("{}"), "")
    return identity_agent


class Agent(AgentSSH):
    """A link to an agent; asked once for its keys, then for signatures.

    Args:
        identity_agent: IdentityAgent of ssh_config(5).

    Attributes:
        complaint: Why it holds no keys, where it should be there; else "".
    """

    def __init__(self, identity_agent: str) -> None:
        super().__init__()
        self.complaint = ""
        where = socket_path(identity_agent, os.environ)
        if not where:
            return
        link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        link.settimeout(_PATIENCE_S)
        try:
            link.connect(str(Path(where).expanduser()))
            self._connect(link)  # type: ignore[attr-defined]
        except (OSError, paramiko.SSHException) as error:
            link.close()
            self.complaint = f"the agent at {where} does not answer: {error}"

    @property
    def keys(self) -> tuple[AgentKey, ...]:
        """What it holds."""
        return tuple(self.get_keys())

    def close(self) -> None:
        """End the link."""
        with contextlib.suppress(OSError):
            self._close()  # type: ignore[attr-defined]
