"""SetEnv and SendEnv of ssh_config: which variables a session is asked to have. Pure.

A server takes those that its AcceptEnv names, and says nothing of the others.
"""

import re
from collections.abc import Mapping

from sandbox_ops.ssh.resolved_host import ResolvedHost

_WILDCARDS = {"*": ".*", "?": "."}


def variables(resolved: ResolvedHost, environ: Mapping[str, str]) -> dict[str, str]:
    """Return what is sent with every session.

    Args:
        resolved: What ssh_config says of the machine.
        environ: Our own variables, of which SendEnv picks some; SetEnv wins.
    """
    sent = {
        name: value
        for name, value in environ.items()
        if any(_matches(pattern, name) for pattern in _patterns(resolved))
    }
    return {**sent, **dict(resolved.set_env)}


def _patterns(resolved: ResolvedHost) -> tuple[str, ...]:
    return tuple(word for line in resolved.send_env for word in line.split())


def _matches(pattern: str, name: str) -> bool:
    """Match as ssh does: `*` and `?`, and case counts, unlike in names of hosts."""
    parts = (_WILDCARDS.get(each, re.escape(each)) for each in pattern)
    return re.fullmatch("".join(parts), name, re.DOTALL) is not None
