"""sandboxes: which machines there are, and how each is just now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox_ops.errors import SandboxError
from sandbox_ops.guard.reliability import Reliability, ReliabilityFile, address
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import JobState, MachineStatus, SandboxConfig
from sandbox_ops.workflows import preflight
from sandbox_ops.workflows.fleet import on_each


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxView:
    """One machine.

    Attributes:
        status: What it said; None where it did not.
        error: Why it did not; None where it did.
        live: How many jobs live on it.
        reliability: How often it answered, this time counted too.
    """

    config: SandboxConfig
    status: MachineStatus | None = None
    error: SandboxError | None = field(default=None, compare=False)
    reliability: Reliability = field(default_factory=Reliability)

    @property
    def reachable(self) -> bool:
        """Whether it answered."""
        return self.status is not None

    @property
    def live(self) -> int | None:
        """How many jobs have not ended; None where that is not known."""
        if self.status is None:
            return None
        return sum(not job.state.ended for job in self.status.jobs)

    @property
    def gpus_free(self) -> int | None:
        """How many GPUs no job has and nobody uses; None where that is not known."""
        if self.status is None or self.status.gpus is None:
            return None
        jobs = self.status.jobs
        return sum(not preflight.gpu_busy(gpu, jobs) for gpu in self.status.gpus)

    def as_json(self) -> dict[str, Any]:
        """The machine as `sandboxes --json` shows it."""
        status = self.status
        gpus = status.gpus if status else None
        return {
            "name": self.config.name,
            "host": self.config.host,
            "link": shown_link(self.config),
            "reachable": self.reachable,
            "gpus": None if gpus is None else [gpu.name for gpu in gpus],
            "gpus_free": self.gpus_free,
            "load": status.load_1min if status else None,
            "jobs": self.live,
            "cost_per_hour": self.config.cost_per_hour,
            "reliability": self.reliability.as_json(),
            "error": self.error.message if self.error else "",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxesReport:
    """All machines, in the order in which they were asked for."""

    sandboxes: tuple[SandboxView, ...]

    @property
    def ok(self) -> bool:
        """Whether all answered."""
        return all(each.reachable for each in self.sandboxes)

    def as_json(self) -> dict[str, Any]:
        """The report as `sandboxes --json` shows it."""
        return {"sandboxes": [each.as_json() for each in self.sandboxes]}


def sandboxes(machines: Sequence[Sandbox], memory: ReliabilityFile) -> SandboxesReport:
    """Ask each machine, all at once, how it is. Raises nothing for what it finds.

    Args:
        machines: Which ones.
        memory: How reliable they were; whether each answered is noted there.
    """
    answers: Mapping[Sandbox, MachineStatus | SandboxError] = on_each(machines, _look)
    views = []
    for machine, answer in answers.items():
        where = address(machine.config)
        if isinstance(answer, SandboxError):
            memory.note_failure(where, answer)
            view = SandboxView(config=machine.config, error=answer)
        else:
            memory.note(where, answered=True, lost=lost_jobs(answer))
            view = SandboxView(config=machine.config, status=answer)
        views.append(view)
    known = memory.of_each(address(view.config) for view in views)
    return SandboxesReport(
        sandboxes=tuple(
            replace(view, reliability=known[address(view.config)]) for view in views
        )
    )


def lost_jobs(status: MachineStatus) -> list[str]:
    """Return the ids of the jobs that a machine lost. Pure."""
    return [job.id for job in status.jobs if job.state is JobState.LOST]


def _look(machine: Sandbox) -> MachineStatus:
    return jobs.status(machine, path=machine.config.workspace, tails=0)


def shown_link(config: SandboxConfig) -> str:
    """Return what carries our bytes there, in a word or as a command. Pure."""
    return config.link if isinstance(config.link, str) else " ".join(config.link)
