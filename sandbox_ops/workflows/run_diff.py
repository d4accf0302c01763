"""diff: what two runs did not have in common."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.errors import NextStep, SandboxError, UsageError
from sandbox_ops.git import local
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.runs import Run, reference
from sandbox_ops.workflows import run_find, run_metrics, run_sync

Pair = tuple[Any, Any]
Pairs = Mapping[str, Pair]
ENVIRONMENT = (
    "environment", "environment_is_current", "python", "driver", "gpus", "sandbox",
    "hostname", "env_names", "cwd", "branch", "repo", "dirty",
)  # fmt: skip
"""The fields of a run record that say what a run ran in, those that matter most first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffReport:
    """What differs; of each pair the first is the first run's.

    Attributes:
        runs: The two.
        commit: Their commits; None where they are the same.
        only_second: Commits that the second has and the first has not, newest first.
        only_first: The other way round. Both None where the local clone lacks a commit.
        command: Their commands; None where they are the same.
        warnings: What could not be compared.
    """

    runs: tuple[Run, Run]
    commit: Pair | None = None
    only_second: tuple[str, ...] | None = None
    only_first: tuple[str, ...] | None = None
    command: Pair | None = None
    settings: Pairs = field(default_factory=dict)
    environment: Pairs = field(default_factory=dict)
    metrics: Pairs = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Always."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `diff --json` shows it."""
        return {
            "runs": [run.job.id for run in self.runs],
            "commit": None if self.commit is None else list(self.commit),
            "commits": None
            if self.only_second is None
            else {
                "added": list(self.only_second),
                "removed": list(self.only_first or ()),
            },
            "command": None if self.command is None else list(self.command),
            "settings": _lists(self.settings),
            "environment": _lists(self.environment),
            "metrics": _lists(self.metrics),
            "warnings": list(self.warnings),
        }


def diff(
    sandboxes: Sequence[Sandbox],
    project: Project,
    first: str,
    second: str,
    *,
    default: str = "",
) -> DiffReport:
    """Compare two runs.

    Args:
        sandboxes: The machines to ask.
        project: Whose runs.
        first: Its id, number or name, `last`, `t1/3`, or `gpu1:remote-3`.
        second: The other.
        default: The machine that an id belongs to where none is named.

    Raises:
        NotFoundError: There is no such run.
        UsageError: Both are the same run.
    """
    known = run_sync.known_runs(sandboxes, project)
    names = tuple({run.sandbox for run in known.runs})
    chosen = [
        run_find.find(known.runs, reference(text, names), default)
        for text in (first, second)
    ]
    if chosen[0].key == chosen[1].key:
        run = f"{chosen[0].sandbox}:{chosen[0].job.id}"
        raise UsageError(
            f"`{first}` and `{second}` are the same run, {run}",
            NextStep("runs", purpose="See the others"),
        )
    one, other = run_metrics.with_metrics(known, chosen, sandboxes, project)
    return compared(one, other, *_between(project, one.commit, other.commit))


def compared(
    one: Run,
    other: Run,
    added: tuple[str, ...] | None = None,
    removed: tuple[str, ...] | None = None,
) -> DiffReport:
    """Return what differs between two runs. Pure."""
    same_commit = one.commit == other.commit
    records = (one.record, other.record)
    both_dirty = all(record.get("dirty") for record in records)
    warnings = []
    if both_dirty:
        warnings.append(
            "both ran with edits that were not committed: see dirty.patch in their folders"
        )
    if not same_commit and added is None:
        warnings.append("the local clone does not have both commits: git fetch")
    return DiffReport(
        runs=(one, other),
        commit=None if same_commit else (one.commit, other.commit),
        only_second=None if same_commit else added,
        only_first=None if same_commit else removed,
        command=None
        if one.job.command == other.job.command
        else (one.job.command, other.job.command),
        settings=differing(one.settings, other.settings),
        environment=differing(*records, names=ENVIRONMENT),
        metrics=differing(one.metrics or {}, other.metrics or {}),
        warnings=tuple(warnings),
    )


def differing(
    one: Mapping[str, Any], other: Mapping[str, Any], *, names: Iterable[str] = ()
) -> dict[str, Pair]:
    """Return the values that differ, None where one has none. Pure.

    Args:
        one: The first's values.
        other: The second's.
        names: Which of them; none: all, in the order of the two.
    """
    wanted = tuple(names) or dict.fromkeys((*one, *other))
    pairs = ((name, (one.get(name), other.get(name))) for name in wanted)
    return {name: pair for name, pair in pairs if pair[0] != pair[1]}


def _between(
    project: Project, old: str, new: str
) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Return what `new` has and `old` has not, and the other way; None if not known."""
    if not project.root or old == new or not old or not new:
        return None, None
    try:
        return (
            local.commits_between(project.root, old, new),
            local.commits_between(project.root, new, old),
        )
    except SandboxError:
        return None, None


def _lists(pairs: Pairs) -> dict[str, list[Any]]:
    return {name: list(pair) for name, pair in pairs.items()}
