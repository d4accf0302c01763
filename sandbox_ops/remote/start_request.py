"""What a start sends to the machine, and what somebody who waits for it holds.

The record is the part that only Python reads; the machine keeps it as it is.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import ConnectionLostError, UsageError
from sandbox_ops.models import CommandResult, EndKind, Job, JobState
from sandbox_ops.remote import job_replies, scripts

_COMMAND_IN_RECORD = 4000
_DESCRIPTION_IN_RECORD = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How a job is held.

    Attributes:
        grace_s: Between TERM and KILL at its deadline.
        cap_bytes: What a stream may hold on the machine; 0: no limit.
        wait_s: How long the start waits for its end before it answers.
        first_bytes: How much of each stream the answer may bring.
    """

    grace_s: int
    cap_bytes: int
    wait_s: float = 0
    first_bytes: int = 0


class Call:
    """A foreground command under way.

    Attributes:
        future: Resolves to its `CommandResult`; to an error where it never started.
    """

    def __init__(self, stop: Callable[[str], None]) -> None:
        self.future: Future[CommandResult] = Future()
        self.job_id: str | None = None
        self._stop = stop
        self._cancelled = False

    def begun(self, job_id: str) -> None:
        """Take note of the id; a cancel that came earlier is carried out now."""
        self.job_id = job_id
        if self._cancelled:
            self._stop(job_id)

    def cancel(self) -> None:
        """Stop the command's whole tree on the machine. The future still resolves."""
        self._cancelled = True
        if self.job_id is not None:
            self._stop(self.job_id)


def record(
    command: str, *, cwd: str, description: str, foreground: bool
) -> dict[str, Any]:
    """Return what is kept of a command for those who look at it later.

    Raises:
        UsageError: Command or directory holds a NUL.
    """
    scripts.words(command, cwd)
    return {
        "format": job_replies.RECORD_FORMAT,
        "command": command[:_COMMAND_IN_RECORD],
        "cwd": cwd,
        "description": description[:_DESCRIPTION_IN_RECORD],
        "foreground": foreground,
    }


def claims(gpus: Sequence[int], unique_name: str) -> list[str]:
    """Return what the job alone may hold: they become names of files there.

    Raises:
        UsageError: The name would not do as one.
    """
    if unique_name and not _CLAIMABLE.fullmatch(unique_name):
        raise UsageError(
            f"a job's unique name cannot be {unique_name!r}",
            "Letters, digits, dots, dashes and underscores will do, 64 at most.",
        )
    names = [f"name-{unique_name}"] if unique_name else []
    return [f"gpu-{index}" for index in gpus] + names


_CLAIMABLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def request(  # noqa: PLR0913  # each is one fact of a start
    kept: Mapping[str, Any],
    command: str,
    *,
    limits: Limits,
    env: Mapping[str, str] | None = None,
    interpreter: str = "bash",
    timeout_s: float | None = None,
    token: str = "",
    claims: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the arguments of `do_start` in scripts/lib/start.sh, in its order."""
    extra = [word for file in (files or {}).items() for word in file]
    return [
        token or secrets.token_hex(16),
        "fg" if kept["foreground"] else "bg",
        str(max(1, round(timeout_s * 100)) if timeout_s else 0),
        str(limits.grace_s),
        str(limits.cap_bytes),
        str(round(limits.wait_s * 100)),
        str(limits.first_bytes),
        interpreter,
        kept["cwd"],
        json.dumps(kept),
        scripts.assignments(dict(env or {})),
        command,
        " ".join(claims),
        *extra,
    ]


def never_answered(
    kept: Mapping[str, Any], error: ConnectionLostError
) -> CommandResult:
    """Return the result of a start whose answer was lost: it may run, without an id."""
    job = Job(
        id="",
        state=JobState.UNKNOWN,
        reason=f"{error.message}; see `jobs` for whether it was started",
        command=kept["command"],
        description=kept["description"],
        foreground=True,
    )
    return CommandResult(job=job, kind=EndKind.CONNECTION_LOST)
