"""What a session gets before it runs anything: variables, and the user's agent.

Both are requests without an answer, so that they cost no round trip; a server that does
not take them says nothing. The agent's socket there lasts as long as the connection.
"""

import os
from typing import Any

from sandbox_ops.ssh import agent, forwarding, session_environment
from sandbox_ops.ssh.resolved_host import ResolvedHost


def variables(resolved: ResolvedHost) -> dict[str, str]:
    """Return the variables that every session is asked to have: SetEnv, SendEnv."""
    return session_environment.variables(resolved, os.environ)


def forwarded_agent(resolved: ResolvedHost) -> str:
    """Return where the agent listens that processes there may use; "" where none is."""
    forwarded = resolved.forward_agent
    return "" if forwarded is None else agent.socket_path(forwarded, os.environ)


def prepare(session: Any, resolved: ResolvedHost) -> None:  # noqa: ANN401
    """Ask for them.

    Args:
        session: A channel that runs nothing yet.
        resolved: What ssh_config says of the machine.
    """
    for name, value in variables(resolved).items():
        session.set_environment_variable(name, value)
    if path := forwarded_agent(resolved):
        forwarding.forward_agent(session, path)
