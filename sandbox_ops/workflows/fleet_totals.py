"""Several machines together: which are free, what runs and waits there, what they cost. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sandbox_ops.models import JobState
from sandbox_ops.models.groups import GroupSummary
from sandbox_ops.text import formatting
from sandbox_ops.workflows import group_rows, group_summary, preflight
from sandbox_ops.workflows.monitor import MonitorReport


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """How busy one machine is.

    Attributes:
        gpus_free: GPUs that nothing of ours has and nobody uses.
        running: Jobs that run; commands that somebody waits for are none.
        waiting: Jobs in its queue.
        cost_per_hour: None where no price is configured.
    """

    name: str
    reachable: bool = False
    gpus: int = 0
    gpus_free: int = 0
    running: int = 0
    waiting: int = 0
    load_1min: float | None = None
    cpus: int | None = None
    cost_per_hour: float | None = None

    @property
    def is_free(self) -> bool:
        """Whether a training would begin there now: a GPU, or without GPUs a core, is free."""
        if not self.reachable:
            return False
        if self.gpus:
            return self.gpus_free > 0
        return self.load_1min is None or not self.cpus or self.load_1min < self.cpus

    @property
    def words(self) -> str:
        """`gpu2 (1 of 2 GPUs)`, `cpu1 (load 0.5 of 8)`."""
        if self.gpus:
            return f"{self.name} ({self.gpus_free} of {self.gpus} GPUs)"
        if self.load_1min is None:
            return self.name
        of = f" of {self.cpus}" if self.cpus else ""
        return f"{self.name} (no GPU, load {self.load_1min:.1f}{of})"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetTotals:
    """All of them together.

    Attributes:
        machines: In the order in which they were asked for.
        groups: The sweeps that are on more than one of them, each in one row.
        of_job: Whether a job or a group alone was looked at: then of a machine not all that
            runs there is known.
    """

    machines: tuple[MachineUse, ...]
    groups: tuple[GroupSummary, ...] = ()
    of_job: bool = False

    @property
    def cost_per_hour(self) -> float | None:
        """What an hour of all that have a price costs; None where none has."""
        return _sum(self.machines)

    @property
    def idle_cost_per_hour(self) -> float | None:
        """The part of it that is paid for machines on which no job runs or waits."""
        return _sum(
            [
                each
                for each in self.machines
                if each.reachable and not (each.running or each.waiting)
            ]
        )

    @property
    def lines(self) -> tuple[str, ...]:
        """The totals in words: a line about all, one about each, one for each group."""
        of_all = () if self.of_job else (self._headline(), *self._by_use())
        return (*of_all, *map(self._group_line, self.groups))

    def as_json(self) -> dict[str, Any]:
        """The totals as `monitor --on --json` shows them."""
        return {
            "machines": len(self.machines),
            "reachable": sum(each.reachable for each in self.machines),
            "free": [each.name for each in self.machines if each.is_free],
            "gpus": sum(each.gpus for each in self.machines),
            "gpus_free": sum(each.gpus_free for each in self.machines),
            "jobs_running": sum(each.running for each in self.machines),
            "jobs_waiting": sum(each.waiting for each in self.machines),
            "cost_per_hour": self.cost_per_hour,
            "idle_cost_per_hour": self.idle_cost_per_hour,
            "groups": [group.as_json() for group in self.groups],
            "by_machine": {each.name: asdict(each) for each in self.machines},
        }

    def _headline(self) -> str:
        totals = self.as_json()
        count = formatting.count(totals["machines"], "machine")
        silent = totals["machines"] - totals["reachable"]
        facts = [
            f"{totals['gpus_free']} of {totals['gpus']} GPUs free"
            * bool(totals["gpus"]),
            f"{totals['jobs_running']} running, {totals['jobs_waiting']} waiting",
            f"{silent} not reachable" * bool(silent),
        ]
        if self.cost_per_hour is not None:
            idle = self.idle_cost_per_hour
            of_it = f" ({idle:.2f} of it idle)" if idle else ""
            facts.append(f"{self.cost_per_hour:.2f} an hour{of_it}")
        return f"{count}: {'; '.join(filter(None, facts))}"

    def _by_use(self) -> Iterator[str]:
        free = [each.words for each in self.machines if each.is_free]
        busy = [m.words for m in self.machines if m.reachable and not m.is_free]
        silent = [each.name for each in self.machines if not each.reachable]
        named = (("free", free), ("busy", busy), ("not reachable", silent))
        yield "; ".join(f"{what}: {', '.join(which)}" for what, which in named if which)

    @staticmethod
    def _group_line(group: GroupSummary) -> str:
        return group_rows.group_line(group_rows.group_row(group))


def totals(
    reports: Mapping[str, MonitorReport | None], *, of_job: bool = False
) -> FleetTotals:
    """Return several looks together.

    Args:
        reports: By the name of the machine; None where it could not be asked at all.
        of_job: Whether a job or a group alone was looked at.
    """
    uses = tuple(_use(name, report) for name, report in reports.items())
    return FleetTotals(machines=uses, groups=_groups(reports), of_job=of_job)


def of_reports(
    reports: Mapping[str, object], *, of_job: bool = False
) -> FleetTotals | None:
    """Return several looks together; None where they are no looks.

    Args:
        reports: As in `totals`; what is no `MonitorReport` is a machine that gave none.
        of_job: As in `totals`.
    """
    looks = {
        name: report if isinstance(report, MonitorReport) else None
        for name, report in reports.items()
    }
    return totals(looks, of_job=of_job) if any(looks.values()) else None


def _use(name: str, report: MonitorReport | None) -> MachineUse:
    if report is None or not report.reachable:
        price = report.cost_per_hour if report else None
        return MachineUse(name=name, cost_per_hour=price)
    jobs = [view.job for view in (*report.jobs, *report.older)]
    background = [job for job in preflight.live(jobs) if not job.foreground]
    waiting = sum(job.state is JobState.QUEUED for job in background)
    in_rows = sum(g.counts.get(str(JobState.QUEUED), 0) for g in report.groups)
    return MachineUse(
        name=name,
        reachable=True,
        gpus=len(report.gpus),
        gpus_free=sum(not preflight.gpu_busy(gpu, jobs) for gpu in report.gpus),
        running=len(background) - waiting,
        waiting=waiting + in_rows,
        load_1min=report.load_1min,
        cpus=report.cpus,
        cost_per_hour=report.cost_per_hour,
    )


def _groups(reports: Mapping[str, MonitorReport | None]) -> tuple[GroupSummary, ...]:
    by_name: dict[str, list[GroupSummary]] = {}
    for machine, report in reports.items():
        for group in report.groups if report else ():
            by_name.setdefault(group.name, []).append(_at(machine, group))
    return tuple(_merged(each) for each in by_name.values() if len(each) > 1)


def _at(machine: str, group: GroupSummary) -> GroupSummary:
    if group.best is None:
        return group
    return replace(group, best=replace(group.best, job=f"{machine}:{group.best.job}"))


def _merged(groups: Sequence[GroupSummary]) -> GroupSummary:
    counted: Counter[str] = Counter()
    for group in groups:
        counted.update(group.counts)
    left = [group.eta_s for group in groups]
    known = [each for each in left if each is not None]
    over = [group for group in groups if all(map(_has_ended, group.counts))]
    bests = [group.best for group in groups if group.best]
    metrics = {best.metric for best in bests}
    return GroupSummary(
        name=groups[0].name,
        counts={str(state): counted[state] for state in JobState if counted[state]},
        eta_s=max(known) if known and len(known) + len(over) >= len(left) else None,
        best=group_summary.best_of(bests) if len(metrics) == 1 else None,
    )


def _has_ended(state: str) -> bool:
    return JobState(state).ended


def _sum(machines: Sequence[MachineUse]) -> float | None:
    prices = [m.cost_per_hour for m in machines if m.cost_per_hour is not None]
    return round(sum(prices), 2) if prices else None
