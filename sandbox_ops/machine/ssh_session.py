"""What a session has of what ssh_config asks for: variables, and the user's agent."""

from dataclasses import dataclass

from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models.settings import FABRIC
from sandbox_ops.ssh import session_setup

_LOOK_S = 30
_AGENT = "SSH_AUTH_SOCK"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What was asked for, and what came of it.

    Attributes:
        sent: Names of the variables of SetEnv and SendEnv.
        refused: Those of them that sessions there do not have.
        agent: Where the agent listens here that is forwarded; "" where none is.
        agent_refused: Whether the machine did not take it.
    """

    sent: tuple[str, ...]
    refused: tuple[str, ...]
    agent: str
    agent_refused: bool


def look(sandbox: Sandbox) -> SessionFacts | None:
    """Return what became of the requests; None where ssh_config makes none of us.

    Only whether a variable is set is asked: its value may be a secret.

    Raises:
        ConnectError: The machine cannot be reached.
    """
    if sandbox.config.link != FABRIC:
        return None  # ssh itself sees to it, or there is none
    resolved = sandbox.ssh.route.resolved
    agent = session_setup.forwarded_agent(resolved)
    names = [n for n in session_setup.variables(resolved) if _is_name(n)]
    if not names and not agent:
        return None
    result = sandbox.script(
        "session_look",
        *names,
        _AGENT,
        timeout_s=_LOOK_S,
        description="doctor: look at the session's environment",
    )
    present = set(result.stdout.text.split())
    return SessionFacts(
        sent=tuple(names),
        refused=tuple(name for name in names if name not in present),
        agent=agent,
        agent_refused=bool(agent) and _AGENT not in present,
    )


def _is_name(name: str) -> bool:
    return name.isascii() and name.isidentifier()
