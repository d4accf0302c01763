"""Which runs are wanted: conditions, states, groups, tags, an order, a number. Pure."""

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import UsageError
from sandbox_ops.models import JobState
from sandbox_ops.models.runs import Run
from sandbox_ops.text import metric_history

Value = str | float | None
_CONDITION = re.compile(r"\s*([A-Za-z_][\w./@-]*)\s*(<=|>=|==|!=|<|>|=)\s*(.*?)\s*")
FIELDS: dict[str, Callable[[Run], Any]] = {
    "id": lambda run: run.job.id,
    "name": lambda run: run.job.name,
    "sandbox": lambda run: run.sandbox,
    "group": lambda run: run.group,
    "state": lambda run: str(run.state),
    "commit": lambda run: run.commit,
    "command": lambda run: run.job.command,
    "exit_code": lambda run: run.job.exit_code,
    "elapsed_s": lambda run: run.job.elapsed_s,
    "started_at": lambda run: run.job.started_at,
    "seed": lambda run: run.record.get("seed"),
}
"""What a name may stand for of every run, beside its settings and metrics."""

_KINDS: dict[str, Callable[[Run], Mapping[str, Value]]] = {
    "settings": lambda run: run.settings,
    "metrics": lambda run: run.metrics or {},
    "best": lambda run: run.best,
}
"""What may stand before a name, with a point between."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`lr<1e-3`: a setting, a metric or a field, compared with a value."""

    name: str
    comparison: str
    value: str

    def holds(self, run: Run) -> bool:
        """Whether it holds for a run; never for one that has no such value."""
        value = value_of(run, self.name)
        if value is None:
            return False
        left, right = number(value), number(self.value)
        if left is not None and right is not None:
            return _COMPARISONS[self.comparison](left, right)
        if self.comparison in {"=", "=="}:
            return str(value) == self.value or (
                self.name == "commit" and str(value).startswith(self.value or "-")
            )
        return self.comparison == "!=" and str(value) != self.value


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs, in which order.

    Attributes:
        where: All of them hold.
        started_after: In seconds since 1970; None: whenever.
        sandboxes: On one of them; none: any, also one that is gone.
        states: One of them; none: any.
        tags: It has all of them.
        sort: A setting, a metric or a field, the best first where it is known which is,
            else the least; with `-` in front the other way round. "": the newest first.
        limit: At most so many; 0: all.
    """

    where: tuple[Condition, ...] = ()
    started_after: float | None = None
    sandboxes: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    sort: str = ""
    limit: int = 50

    @property
    def names(self) -> frozenset[str]:
        """The names whose values decide."""
        sort = {self.sort.removeprefix("-")} if self.sort else set()
        return frozenset({each.name for each in self.where} | sort)

    def candidates(self, runs: Iterable[Run]) -> list[Run]:
        """Return those that fit as far as no metric has to be known."""
        return [run for run in runs if self._fits(run)]

    def _fits(self, run: Run) -> bool:
        started = run.job.started_at or run.job.queued_at
        after = self.started_after
        return (
            (after is None or (started is not None and started >= after))
            and (not self.sandboxes or run.sandbox in self.sandboxes)
            and (not self.states or str(run.state) in self.states)
            and (not self.groups or run.group in self.groups)
            and set(self.tags) <= set(run.tags)
        )

    def needs_metrics(self, runs: Iterable[Run]) -> bool:
        """Whether a name is neither a field nor a setting of any run."""
        plain = {name for name in self.names if not _is_known(name)}
        for run in runs if plain else ():
            plain -= run.settings.keys()
            if not plain:
                break
        return bool(plain)

    def chosen(self, runs: Iterable[Run]) -> list[Run]:
        """Return the runs that are wanted, sorted; `limit` is not looked at."""
        kept = [run for run in runs if all(each.holds(run) for each in self.where)]
        return _sorted(kept, self.sort)


def query(
    *,
    where: Sequence[str] = (),
    started_after: float | None = None,
    sandboxes: Sequence[str] = (),
    states: Sequence[str] = (),
    groups: Sequence[str] = (),
    tags: Sequence[str] = (),
    sort: str = "",
    limit: int = 50,
) -> RunQuery:
    """Return the query that options make.

    Raises:
        UsageError: A condition or a state cannot be read, or the limit is below 0.
    """
    known = [str(state) for state in JobState]
    for state in states:
        if state not in known:
            raise UsageError(
                f"there is no state `{state}`", f"One of: {', '.join(known)}"
            )
    if limit < 0:
        raise UsageError(f"--limit takes how many runs, not {limit}; 0 is all of them")
    return RunQuery(
        where=tuple(condition(text) for text in where),
        started_after=started_after,
        sandboxes=tuple(sandboxes),
        states=tuple(states),
        groups=tuple(groups),
        tags=tuple(tags),
        sort=sort,
        limit=limit,
    )


def condition(text: str) -> Condition:
    """Return what `lr<1e-3` says.

    Raises:
        UsageError: It says nothing.
    """
    match = _CONDITION.fullmatch(text)
    if match is None or not match[3]:
        raise UsageError(
            f"--where takes NAME, < <= > >= = or !=, and a value, not `{text}`",
            "for example, in quotes: --where 'lr<1e-3' --where 'loss<=0.5'",
        )
    return Condition(*match.groups())


def value_of(run: Run, name: str) -> Value:
    """Return a setting, a field, or a metric as it was last; None where a run has none."""
    kind, _, rest = name.partition(".")
    if rest and kind in _KINDS:
        return _KINDS[kind](run).get(rest)
    settings = run.settings  # made at each look: ten thousand runs are sorted by it
    if name in settings:
        return settings[name]
    if name in FIELDS:
        value = FIELDS[name](run)
        return value if isinstance(value, str | int | float) else None
    return (run.metrics or {}).get(name)


def number(value: Value) -> float | None:
    """Return a value as a number; None where it is none."""
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _is_known(name: str) -> bool:
    return name in FIELDS or name.startswith("settings.")


def _sorted(runs: list[Run], sort: str) -> list[Run]:
    """Sort by a value; those without one, or with NaN, come last, newest first."""
    if not sort:
        return runs
    name = sort.removeprefix("-")
    most_first = metric_history.goal(name.rpartition(".")[2]) == "most"
    most_first = most_first != sort.startswith("-")
    pairs = [(value_of(run, name), run) for run in runs]
    numbers = [(n, run) for value, run in pairs if (n := number(value)) is not None and not math.isnan(n)]  # fmt: skip
    texts = [(value, run) for value, run in pairs if isinstance(value, str) and number(value) is None]  # fmt: skip
    rest = [run for value, run in pairs if value is None or (isinstance(value, float) and math.isnan(value))]  # fmt: skip
    numbers.sort(key=lambda pair: pair[0], reverse=most_first)
    texts.sort(key=lambda pair: pair[0], reverse=sort.startswith("-"))
    return [run for _, run in numbers] + [run for _, run in texts] + rest
