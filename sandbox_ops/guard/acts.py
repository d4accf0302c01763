"""Everything that changes something passes here: the mode allows it, and it is noted.

One audit log a user, in their state folder. What cannot be noted is not done where it
destroys; the rest goes on, with one warning.
"""

import contextlib
import contextvars
import logging
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from sandbox_ops.errors import RefusedError
from sandbox_ops.guard import audit
from sandbox_ops.guard.audit import AuditLog, Who
from sandbox_ops.guard.user_folders import state_folder
from sandbox_ops.models import SandboxConfig, policy

Mask = Callable[[str], str]
"""Takes secrets out of a text: of what is noted, the caller knows which there are."""

_SESSION = secrets.token_hex(4)
_process = Who(session=_SESSION)
_asker: contextvars.ContextVar[Who | None] = contextvars.ContextVar(
    "asker", default=None
)
_warned = False


def identify(face: str, client: str = "") -> None:
    """Say who asks in this process: what is noted from now on carries it.

    Args:
        face: "cli" or "mcp".
        client: The name and version of what speaks through it.
    """
    global _process  # noqa: PLW0603 - who asks is one for the whole process
    _process = Who(face=face, client=client, session=_SESSION)


@contextlib.contextmanager
def asked_by(client: str, session: str = "") -> Iterator[None]:
    """Say which of several clients of this process asks, for what is done within."""
    who = Who(face=_process.face, client=client, session=session or _SESSION)
    token = _asker.set(who)
    try:
        yield
    finally:
        _asker.reset(token)


def log_path() -> Path:
    """Return where the user's audit log is, or would be."""
    return state_folder(os.environ) / audit.FILE


def check(config: SandboxConfig, action: str) -> None:
    """Refuse what the machine's mode does not allow.

    Raises:
        DeniedError: As `policy.check` has it.
    """
    policy.check(config.mode, action, sandbox=config.name, where=config.mode_set_in)


def only_reads(action: str) -> bool:
    """Return whether an action changes nothing, so that its steps may not either."""
    return policy.ACTIONS[action].changes is policy.Changes.NOTHING


def begin(config: SandboxConfig, action: str, text: str, *, mask: Mask) -> "Act | None":
    """Note that something is about to be done; None where it changes nothing.

    Raises:
        RefusedError: It destroys something, and cannot be noted.
    """
    return None if only_reads(action) else Act(config, action, text, mask=mask)


class Act:
    """One act under way: its intent is noted; `end` notes what came of it.

    Args:
        config: The machine.
        action: As `policy.ACTIONS` has it.
        text: What was asked.
        mask: Takes secrets out of what is noted.
        destroys: That it may destroy something, where the table cannot know.

    Raises:
        RefusedError: It destroys something, and cannot be noted.
    """

    def __init__(
        self,
        config: SandboxConfig,
        action: str,
        text: str,
        *,
        mask: Mask,
        destroys: bool = False,
    ) -> None:
        self._log = AuditLog(log_path(), _asker.get() or _process, mask)
        self._action, self._config = action, config
        self._id = ""
        try:
            self._id = self._log.begin(
                action, text, sandbox=config.name, host=config.host
            )
        except RefusedError as error:
            if destroys or policy.ACTIONS[action].destroys:
                raise RefusedError(
                    f"`{action}` was refused, because it cannot be written to the audit log: {error.message}",
                    *error.hints,
                ) from error
            _warn(error)

    def end(self, outcome: str) -> None:
        """Note what came of it."""
        if self._id:
            config = self._config
            self._log.end(
                self._id, self._action, outcome, sandbox=config.name, host=config.host
            )

    def failed(self, error: BaseException) -> None:
        """Note that it ended in an error."""
        self.end(f"error {getattr(error, 'kind', type(error).__name__)}")


@contextlib.contextmanager
def act(
    config: SandboxConfig,
    action: str,
    text: str = "",
    *,
    mask: Mask,
    destroys: bool = False,
) -> Iterator[list[str]]:
    """Check and note what is done within.

    Args:
        config: The machine.
        action: As `policy.ACTIONS` has it.
        text: What was asked.
        mask: Takes secrets out of what is noted.
        destroys: That it may destroy something, where the table cannot know.

    Yields:
        A list; its last word is noted as the outcome.

    Raises:
        DeniedError: The machine's mode does not allow it.
        RefusedError: It destroys something, and cannot be noted.
    """
    check(config, action)
    with noted(config, action, text, mask=mask, destroys=destroys) as outcome:
        yield outcome


@contextlib.contextmanager
def noted(
    config: SandboxConfig,
    action: str,
    text: str = "",
    *,
    mask: Mask,
    destroys: bool = False,
) -> Iterator[list[str]]:
    """Note what is done within, where it can change something; see `act`."""
    outcome: list[str] = []
    if only_reads(action):
        yield outcome
        return
    own = Act(config, action, text, mask=mask, destroys=destroys)
    try:
        yield outcome
    except BaseException as error:
        own.failed(error)
        raise
    own.end(outcome[-1] if outcome else "done")


def _warn(error: RefusedError) -> None:
    global _warned  # noqa: PLW0603 - once is enough for a process
    if not _warned:
        _warned = True
        logging.getLogger(__name__).warning(
            "warning: %s; this action is not recorded", error.message
        )
