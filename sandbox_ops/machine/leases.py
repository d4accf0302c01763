"""Who may change a tree on a machine now: one at a time, with a token that fences off.

The lease lies on the machine, beside the tree. It is kept while its holder lives, is over
a while after that, and each of our scripts that changes the tree asks, in the same shell,
whether the token it was given is still the newest: who was away too long changes nothing.
"""

import contextlib
import re
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sandbox_ops.errors import RefusedError, SandboxError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.remote import script_replies, scripts

LEASE_S = 60
"""So long after its holder's last sign of life somebody else may take it."""

WAIT_S = 15.0
_ASK_AGAIN_S = 1.0
_HOLDER_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease that we took.

    Attributes:
        place: Its file there; "" where nothing can be written, and nothing is held.
        token: What our steps show; each later lease has a higher one.
    """

    place: str
    token: str


@contextlib.contextmanager
def held(
    sandbox: Sandbox,
    path: str,
    purpose: str,
    *,
    wait_s: float = WAIT_S,
    lease_s: int = LEASE_S,
) -> Iterator[Sandbox]:
    """Hold the lease of a tree there; wait a while where somebody else has it.

    Args:
        sandbox: The machine.
        path: The tree, or where it will be.
        purpose: What for, in a word: whoever has to wait reads it.
        wait_s: How long to wait for somebody else's.
        lease_s: How long it lasts after our last sign of life.

    Yields:
        The machine, whose steps are refused once the lease is somebody else's.

    Raises:
        RefusedError: Somebody else has it; says who, since when, and what for.
        SandboxError: As the link failed.
        CancelledError: It was cancelled while it waited.
    """
    lease = _taken(sandbox, path, purpose, wait_s, lease_s)
    if not lease.place:
        yield sandbox
        return
    ended = threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(sandbox, lease, lease_s, ended), name="lease", daemon=True
    )
    keeper.start()
    try:
        yield sandbox.guarded_by(
            scripts.guard("lease", lease.place, lease.token, str(lease_s))
        )
    finally:
        ended.set()
        with contextlib.suppress(SandboxError):
            _say(sandbox, lease, 0)


def _taken(
    sandbox: Sandbox, path: str, purpose: str, wait_s: float, lease_s: int
) -> Lease:
    until = time.monotonic() + wait_s
    while True:
        sandbox.cancel_token.check()
        doing = f"take the lease of {path} on {sandbox.config.label}"
        holder = re.sub(r"\s+", " ", f"{sandbox.started_by}: {purpose}")
        result = sandbox.script(
            *("lease_take", path, str(lease_s), secrets.token_hex(6)),
            holder[:_HOLDER_CHARACTERS],
            description=doing,
        )
        reply = script_replies.parse_result(result, doing)
        if not reply.all("held_by"):
            return Lease(place=reply.get("place"), token=reply.get("token"))
        if time.monotonic() > until:
            raise RefusedError(
                f"{reply.get('held_by') or 'somebody'} is at work in {path} on "
                f"{sandbox.config.label}, for {reply.get('seconds') or '?'} s now",
                "Wait until that has ended, and try again. If whoever it was is gone, "
                f"it is free {lease_s} s after their last step.",
            )
        threading.Event().wait(_ASK_AGAIN_S)


def _keep(sandbox: Sandbox, lease: Lease, lease_s: int, ended: threading.Event) -> None:
    while not ended.wait(lease_s / 3):
        with contextlib.suppress(SandboxError):
            _say(sandbox, lease, lease_s)


def _say(sandbox: Sandbox, lease: Lease, seconds: int) -> None:
    sandbox.cancelled_by(CancelToken()).script(
        "lease_keep", lease.place, lease.token, str(seconds)
    )
