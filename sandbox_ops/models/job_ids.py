"""Ids of jobs, the names and paths made of them: written and read here alone. Pure.

Background jobs are `remote-N`, commands (what somebody waits for, and our own recorded
steps) are `cmd-N`; both are counted apart, and no id is given twice in a home. Wherever
a job is asked for, its id, its number, its name or `last` will do: a `JobReference`.
`last` is the newest background job, never a command: a command must be named by its id.
A group is asked for by its name (`t1`), one of its jobs by its cell (`t1/3`). Before each
of these may stand the machine that has it: `gpu1:remote-3`.
"""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass

from sandbox_ops.errors import UsageError

JOB_PREFIX = "remote"
COMMAND_PREFIX = "cmd"
LAST = "last"
THEN = "then"
"""The cell of the job that runs when all others of a group have ended."""
_BY_NAME = "name="

_ID = re.compile(rf"({JOB_PREFIX}|{COMMAND_PREFIX})-[1-9][0-9]{{0,8}}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_CELL = re.compile(rf"({_FILE_NAME.pattern})/([1-9][0-9]{{0,4}}|{THEN})")


def is_id(text: str) -> bool:
    """Whether the text is the id of a job or a command."""
    return _ID.fullmatch(text) is not None


def is_command(job_id: str) -> bool:
    """Whether the id is that of a command: of what somebody waited for."""
    return job_id.startswith(f"{COMMAND_PREFIX}-")


def number(job_id: str) -> int:
    """Return the number in an id; 0 where there is none."""
    return int(job_id.rpartition("-")[2]) if is_id(job_id) else 0


@dataclass(frozen=True, slots=True)
class JobReference:
    """Which job somebody means.

    Attributes:
        text: As it was given, for messages.
        wire: As the machine resolves it: an id, `last`, `name=KEY`, or `cell=KEY/CELL`.
    """

    text: str
    wire: str

    @property
    def may_be_group(self) -> bool:
        """Whether it is a name, which may be a group's; the machine knows."""
        return self.is_name and can_be_claimed(self.text)

    @property
    def job_id(self) -> str | None:
        """The id, where it was given or follows from a number; None where it is looked up."""
        return self.wire if is_id(self.wire) else None

    @property
    def is_name(self) -> bool:
        """Whether it is a job's name: there may be several."""
        return self.wire.startswith(_BY_NAME)

    def __str__(self) -> str:
        return self.text


def reference(text: str) -> JobReference:
    """Read what names a job: `remote-3`, `3`, `cmd-3`, `last`, `t1/3`, or a job's name.

    Raises:
        UsageError: It is empty.
    """
    stripped = text.strip()
    if not stripped:
        raise UsageError(
            "no job is named",
            "Give its id (remote-3), its number, its name, or `last`.",
        )
    if _NUMBER.fullmatch(stripped):
        return JobReference(stripped, f"{JOB_PREFIX}-{stripped}")
    if is_id(stripped) or stripped == LAST:
        return JobReference(stripped, stripped)
    if _CELL.fullmatch(stripped):
        return JobReference(stripped, f"cell={stripped}")
    return JobReference(text, f"{_BY_NAME}{name_key(text)}")


def on_machine(text: str, machines: Collection[str]) -> tuple[str, str]:
    """Read `gpu1:remote-3`: the machine that it names, and the job there.

    Args:
        text: As the user wrote it.
        machines: The names that may stand before a colon.

    Returns:
        "" and the whole text, where it names none of them.
    """
    machine, colon, job = text.strip().partition(":")
    named = bool(colon) and machine in machines and bool(job.strip())
    return (machine, job.strip()) if named else ("", text)


def check_name(name: str) -> None:
    """Refuse a name by which its job could not be found.

    Raises:
        UsageError: It is what an id, a number, `last` or a cell of a group looks like.
    """
    stripped = name.strip()
    if is_id(stripped) or stripped == LAST or _NUMBER.fullmatch(stripped):
        raise UsageError(
            f"a job cannot be named {name!r}: that is how ids and numbers of jobs look",
            f"Put a word before it: job-{stripped}",
        )
    if _CELL.fullmatch(stripped):
        raise UsageError(
            f"a job cannot be named {name!r}: that is how the cells of a sweep look",
            f"Without the slash: {stripped.replace('/', '-')}",
        )


def is_cell(text: str) -> bool:
    """Whether the text names one job of a group: `t1/3`."""
    return _CELL.fullmatch(text.strip()) is not None


def name_key(name: str) -> str:
    """Return the name of the file, in our folder there, that holds a name's newest id."""
    if _FILE_NAME.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return f"_{digest[:32]}"


def can_be_claimed(name: str) -> bool:
    """Whether a name will do as a unique one: it becomes part of a file's name there."""
    return _FILE_NAME.fullmatch(name) is not None


def folder(base: str, job_id: str) -> str:
    """Return the folder that holds all that is known of a job."""
    return f"{base}/jobs/{job_id}"


def log_path(base: str, job_id: str) -> str:
    """Return where a job's log is: its output, of a command stdout alone."""
    return f"{folder(base, job_id)}/log"


def stderr_path(base: str, job_id: str) -> str:
    """Return where a command's stderr is."""
    return f"{folder(base, job_id)}/stderr"
