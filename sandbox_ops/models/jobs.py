"""A job, what it wrote and what a stop did. Frozen values, no I/O."""

import enum
from dataclasses import dataclass
from typing import Any


class JobState(enum.StrEnum):
    """Where a job is in its life. Terminal states never change.

    `UNKNOWN` is said where the machine cannot be reached or has not answered; it is
    never guessed into another state.
    """

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    TIMED_OUT = "timed-out"
    LOST = "lost"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether the state is terminal."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        JobState.SUCCEEDED,
        JobState.FAILED,
        JobState.STOPPED,
        JobState.TIMED_OUT,
        JobState.LOST,
    }
)
NEVER_STARTED = "never started"
"""The reason of a lost job whose command did not begin: started again, it runs once."""
_TIMED_OUT = 124
_KILLED = 137
_SHELLS_MEAN = {126: ": not executable", 127: ": command not found"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command on a sandbox, as it was when the machine was last asked.

    Attributes:
        id: `remote-N`, never used again on that sandbox.
        name: The name it was given, or "".
        reason: Why a `lost` job is lost ("reboot", "killed"), else "".
        exit_code: None until it ended, and where no code is known; 128+n for a signal.
        signal: "TERM", "KILL", ... where the code stands for a signal.
        signal_certain: False where the shell could not tell a signal from exit 128+n.
        started_at: Seconds since 1970 by the machine's clock. None where it never began.
        elapsed_s: Until its end, or until now where it lives. None if not known.
        ended_at: When it ended, by the same clock; of a `lost` one when it, or who watched
            it, wrote last. None while it lives, and where that is not known.
        log_path: Absolute path, on the sandbox, of the log (of stdout, for a
            foreground command).
        survivors: How many processes it left running when it ended.
        log_incomplete: Whether part of the output was dropped on the machine.
        foreground: Whether somebody waits, or waited, for it (`run`, `remote_bash`).
        gpus: Indices of the GPUs it claims.
        started_by: Who started it: `USER@HOST`, or `agent ID of USER@HOST`; "" if unknown.
        group: The sweep that it belongs to; "" if to none.
        cell: Its number in that sweep, from 1; 0: in none, or what runs after all others.
        waits_for: Why it is queued, in words: `waits for a GPU: remote-3 has GPU 0`; "" if
            it is not.
        queued_at: When it was queued, in seconds since 1970; None where it never was.
        attempt: Which attempt this is, or would be, from 1; 0 where it never was queued.
        place: In the queue, from 1; 0 where that was not asked, or it does not wait.
        waits_on: Ids of the jobs that have what it waits for, so far as is known.
        writes: Declared output files, absolute, that it is known to write.
    """

    id: str
    name: str = ""
    state: JobState
    reason: str = ""
    exit_code: int | None = None
    signal: str | None = None
    signal_certain: bool | None = None
    command: str = ""
    description: str = ""
    cwd: str = ""
    started_at: float | None = None
    elapsed_s: float | None = None
    ended_at: float | None = None
    log_path: str = ""
    stderr_path: str = ""
    survivors: int = 0
    log_incomplete: bool = False
    foreground: bool = False
    gpus: tuple[int, ...] = ()
    project_path: str = ""
    started_by: str = ""
    group: str = ""
    cell: int = 0
    waits_for: str = ""
    queued_at: float | None = None
    attempt: int = 0
    place: int = 0
    waits_on: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """The state in words: `failed (exit code 3)`, `lost (reboot)`."""
        if self.reason or self.waits_for:
            return f"{self.state} ({self.reason or self.waits_for})"
        failed = self.state is JobState.FAILED
        if self.signal:
            certain = "" if self.signal_certain else f", or exit code {self.exit_code}"
            why = ": often out of memory" if failed and self.signal == "KILL" else ""
            return f"{self.state} (signal {self.signal}{certain}{why})"
        if failed:
            why = _SHELLS_MEAN.get(self.exit_code or 0, "")
            return f"{self.state} (exit code {self.exit_code}{why})"
        return str(self.state)

    @property
    def requested_at(self) -> float | None:
        """When it was queued, or started where it never was, in seconds since 1970."""
        return self.started_at if self.queued_at is None else self.queued_at

    @property
    def outcome_code(self) -> int | None:
        """What a program that waited for it ends with; None while it is not known.

        Its own code, 128+n for a signal; 124 where its deadline ended it; 137, as a shell
        says of what was killed, where it was lost: nobody was left to note a code.
        """
        if self.state is JobState.TIMED_OUT:
            return _TIMED_OUT
        if self.exit_code is None and self.state.ended:
            return _KILLED
        return self.exit_code

    def as_json(self) -> dict[str, Any]:
        """The job as every `--json` shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "state": str(self.state),
            "reason": self.reason,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "signal_certain": self.signal_certain,
            "command": self.command,
            "description": self.description,
            "started_at": self.started_at,
            "elapsed_s": self.elapsed_s,
            "ended_at": self.ended_at,
            "log_path": self.log_path,
            "started_by": self.started_by,
            "group": self.group,
            "cell": self.cell or None,
            "waits_for": self.waits_for,
            "queued_at": self.queued_at,
            "attempt": self.attempt,
            "place": self.place,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutput:
    """A piece of a job's log.

    Attributes:
        job: The job as it was when the piece was read.
        data: The bytes.
        offset: Where in the log the piece begins, in bytes.
        size_bytes: How long the log was.
        inode: Which file it was, to notice rotation.
        restarted: The log is another or shorter file than the cursor knew, so the
            piece begins at its start.
    """

    job: Job
    data: bytes
    offset: int
    size_bytes: int
    inode: int
    restarted: bool = False

    @property
    def next_offset(self) -> int:
        """Where the next piece begins, in bytes."""
        return self.offset + len(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReport:
    """What a stop did.

    Attributes:
        job: The job afterwards.
        killed: One line a process that was ended: `PID NAME`.
        left: One line a process that could not be ended or inspected, and why.
        same_name: Other jobs of that name which live on: a name stands for the newest.
    """

    job: Job
    killed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    same_name: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it is over, and nothing of it is known to live."""
        return not self.left and self.job.state.ended

    @property
    def nothing_ended(self) -> str:
        """Why no process was ended, in words; "" where one was, or one is left."""
        if self.killed or self.left:
            return ""
        if self.job.started_at is None:
            return "it had not started, so there was no process to end"
        return "no living process of it was found"

    def as_json(self) -> dict[str, Any]:
        """The report as `stop --json` shows it."""
        return {
            "job": self.job.as_json(),
            "killed": list(self.killed),
            "left": list(self.left),
            "same_name": list(self.same_name),
        }
