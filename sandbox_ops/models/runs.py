"""A run: what a training was, how it ended, what came of it. Frozen values, no I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.errors import UsageError
from sandbox_ops.models import job_ids
from sandbox_ops.models.jobs import Job, JobState

_CELL = re.compile(r"(?P<group>.+)/(?P<cell>[1-9][0-9]{0,8})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A background job with a run record.

    Attributes:
        sandbox: The name of the machine, as it was called when the run was seen last.
        store: Which folder of records it is in: names and hosts may change.
        job: As it was when it was seen last.
        record: The run record: commit, settings, command, environment, ...
        outputs: What it wrote: `path`, `size_bytes` and `sha256` each.
        metrics: The last value of each; None where they were not read yet.
        best: The least of each loss or error, the most of each score.
        is_sampled: Metrics were read from a part of a long log: a better one may be in it.
        note: What a user wrote about it.
        seen_at: When the machine last said so, in seconds since 1970.
        is_current: Whether the machine was asked just now.
    """

    sandbox: str
    store: str
    job: Job
    record: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[Mapping[str, Any], ...] = ()
    metrics: Mapping[str, float] | None = None
    best: Mapping[str, float] = field(default_factory=dict)
    is_sampled: bool = False
    note: str = ""
    tags: tuple[str, ...] = ()
    seen_at: float = 0.0
    is_current: bool = True

    @property
    def key(self) -> str:
        """What tells it from every other run."""
        return f"{self.store}/{self.job.id}"

    @property
    def number(self) -> int:
        """The number in its id."""
        return job_ids.number(self.job.id)

    @property
    def state(self) -> JobState:
        """Its state; `unknown` of one that lived when its machine was last reached."""
        known = self.is_current or self.job.state.ended
        return self.job.state if known else JobState.UNKNOWN

    @property
    def group(self) -> str:
        """The group that it was started with, or ""."""
        return text(self.record.get("group"))

    @property
    def cell(self) -> int | None:
        """Its number in the group, from 1."""
        cell = self.record.get("cell")
        return cell if isinstance(cell, int) else None

    @property
    def commit(self) -> str:
        """The commit that it ran, or ""."""
        return text(self.record.get("commit"))

    @property
    def settings(self) -> dict[str, str]:
        """The settings that filled its command."""
        settings = self.record.get("settings")
        if not isinstance(settings, Mapping):
            return {}
        return {str(name): str(value) for name, value in settings.items()}

    @property
    def cost(self) -> float | None:
        """What it has cost, by the price of its machine at its start; None: not known."""
        price, elapsed_s = self.record.get("cost_per_hour"), self.job.elapsed_s
        if not isinstance(price, (int, float)) or elapsed_s is None:
            return None
        return round(elapsed_s / 3600 * price, 2)

    def as_json(self) -> dict[str, Any]:
        """The run as `runs --json` shows it."""
        return {
            "id": self.job.id,
            "sandbox": self.sandbox,
            "name": self.job.name,
            "group": self.group,
            "state": str(self.state),
            "exit_code": self.job.exit_code,
            "commit": self.commit,
            "settings": self.settings,
            "metrics": dict(self.metrics or {}),
            "best": dict(self.best),
            "sampled": self.is_sampled,
            "started_at": self.job.started_at,
            "elapsed_s": self.job.elapsed_s,
            "cost": self.cost,
            "outputs": [dict(output) for output in self.outputs],
            "tags": list(self.tags),
            "note": self.note,
            "seen_at": self.seen_at,
        }


def text(value: object) -> str:
    """Return a field of a record that is to be text; "" for anything else."""
    return value if isinstance(value, str) else ""


def number_of_gpus(record: Mapping[str, Any]) -> int | None:
    """Return how many a run had, or waited for; None where its record does not say."""
    had, wanted = record.get("gpus"), record.get("gpus_wanted")
    if isinstance(had, list) and (had or type(wanted) is not int):
        return len(had)
    return wanted if type(wanted) is int and wanted >= 0 else None


@dataclass(frozen=True, slots=True)
class RunReference:
    """Which run the user means.

    Attributes:
        text: As it was given.
        sandbox: The machine that it names; "": none.
        job_id: The id, or what follows from a number; "": it is a name or `last`.
        name: The name of a run, of a group with `cell`, or `last`.
        cell: Its number in the group.
    """

    text: str
    sandbox: str = ""
    job_id: str = ""
    name: str = ""
    cell: int | None = None


def reference(given: str, sandboxes: tuple[str, ...] = ()) -> RunReference:
    """Read what names a run: `remote-3`, `3`, a name, `last`, `t1/3`, or `gpu1:remote-3`.

    Args:
        given: As the user wrote it.
        sandboxes: The names of machines that may stand before a colon.

    Raises:
        UsageError: It is empty.
    """
    sandbox, wanted = job_ids.on_machine(given, sandboxes)
    job = job_ids.reference(wanted)
    if job.job_id:
        return RunReference(given, sandbox, job_id=job.job_id)
    if match := _CELL.fullmatch(wanted.strip()):
        return RunReference(given, sandbox, "", match["group"], int(match["cell"]))
    return RunReference(given, sandbox, name=wanted.strip())


TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,63}")


def check_tag(tag: str) -> str:
    """Return a tag.

    Raises:
        UsageError: It is none.
    """
    if not TAG.fullmatch(tag):
        raise UsageError(
            f"{tag!r} cannot be a tag",
            "A tag has up to 64 letters, digits and . _ / - and begins with no sign.",
        )
    return tag
