"""The ssh-agent that ssh_config names: paramiko knows that of the environment alone.

An agent may be gone, locked, frozen, or refuse to sign. Each costs what it must, and is
said: the other keys are tried all the same.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import paramiko
from paramiko.agent import AgentKey, AgentSSH

LIST_S = 3.0
"""An agent that is there lists its keys at once; a frozen one must leave time for files."""
_LEAST_S = 0.5


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


def dial(path: str, timeout_s: float) -> socket.socket:
    """Return a link to the agent that listens at a path.

    Raises:
        OSError: Nobody does, or it takes no further link.
    """
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    link.settimeout(timeout_s)
    try:
        link.connect(str(Path(path).expanduser()))
    except OSError:
        link.close()
        raise
    return link


class SigningKey(AgentKey):
    """A key that an agent holds; where it does not sign, the login goes on without it.

    paramiko signs in the thread that serves the connection: what is raised there ends
    the connection, and with it the chance of every other key.
    """

    def sign_ssh_data(self, data: Any, algorithm: str | None = None) -> Any:  # noqa: ANN401
        """Return the signature; one that no server takes, where there is none."""
        agent = self.agent
        assert isinstance(agent, Agent)  # noqa: S101  # `Agent.keys` made us
        reason = ""
        try:
            if not agent.broken:
                return super().sign_ssh_data(data, algorithm)
        except TimeoutError:
            agent.broken = True  # a late answer would be taken for the next one
        except (paramiko.SSHException, OSError) as error:
            reason = f"would not sign ({error}): is it locked? ssh-add -X unlocks it"
        if agent.broken:
            reason = "did not sign in time: is it frozen, or does it wait for you?"
        agent.complaint = f"the agent at {agent.path} {reason}"
        empty = paramiko.Message()
        empty.add_string(algorithm or self.name)
        empty.add_string(b"")
        return empty


class Agent(AgentSSH):
    """A link to an agent; asked once for its keys, then for signatures.

    Args:
        identity_agent: IdentityAgent of ssh_config(5).
        sign_s: How long a signature may take.

    Attributes:
        path: Where it listens; "" where there is none.
        broken: Whether an answer of it is outstanding.
        complaint: Why it was of no use, where it should be there; else "".
    """

    def __init__(self, identity_agent: str, sign_s: float) -> None:
        super().__init__()
        self.complaint = ""
        self.broken = False
        self.path = socket_path(identity_agent, os.environ)
        if not self.path:
            return
        link = None
        try:
            link = dial(self.path, min(LIST_S, max(_LEAST_S, sign_s / 2)))
            self._connect(link)  # type: ignore[attr-defined]
            link.settimeout(max(_LEAST_S, sign_s))
        except TimeoutError:
            self.complaint = f"the agent at {self.path} did not answer: is it frozen?"
        except (OSError, paramiko.SSHException) as error:
            self.complaint = f"the agent at {self.path} does not answer: {error}"
        else:
            if not self.get_keys():  # a locked one says that it has none
                self.complaint = (
                    f"the agent at {self.path} shows no key: it is empty (ssh-add adds "
                    "one) or locked (ssh-add -X unlocks it)"
                )
        if self.complaint and link is not None:
            link.close()

    @property
    def keys(self) -> tuple[SigningKey, ...]:
        """What it holds."""
        held = self.get_keys()
        return tuple(SigningKey(self, key.blob, key.comment) for key in held)

    def close(self) -> None:
        """End the link."""
        with contextlib.suppress(OSError):
            self._close()  # type: ignore[attr-defined]
