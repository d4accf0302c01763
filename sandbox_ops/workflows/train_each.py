"""Several trainings in one go: each combination of their settings is a job."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.errors import SandboxError, UsageError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.workflows.train import TrainReport, train

MOST = 64
"""So many trainings one call may start."""

_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainEachReport:
    """The trainings that were started, in their order.

    Attributes:
        not_started: The names of the others.
        error: Why the first of those was refused.
    """

    started: tuple[TrainReport, ...]
    not_started: tuple[str, ...] = ()
    error: SandboxError | None = field(default=None, compare=False)

    @property
    def ok(self) -> bool:
        """Whether all were started."""
        return self.error is None


def train_each(
    sandbox: Sandbox,
    project: Project,
    settings: Mapping[str, Sequence[str]],
    *,
    name: str = "",
    **options: Any,  # noqa: ANN401  # those of `train`
) -> TrainEachReport:
    """Start a training for each combination of the settings, one after the other.

    Args:
        sandbox: The machine.
        project: Whose clone they run in.
        settings: The values of each.
        name: What the names of all begin with.
        **options: As `train` takes them, for each.

    Raises:
        UsageError: There are more than `MOST`.
        SandboxError: The first was refused, so that none was started; see `train`.
    """
    cells = combinations(settings)
    if len(cells) > MOST:
        raise UsageError(
            f"that would be {len(cells)} trainings, at most {MOST} go in one call"
        )
    names = [cell_name(name, cell, settings) for cell in cells]
    started: list[TrainReport] = []
    for cell, cell_called in zip(cells, names, strict=True):
        try:
            report = train(sandbox, project, settings=cell, name=cell_called, **options)
        except SandboxError as error:
            if not started:
                raise
            left = tuple(names[len(started) :])
            return TrainEachReport(
                started=tuple(started), not_started=left, error=error
            )
        started.append(report)
    return TrainEachReport(started=tuple(started))


def combinations(settings: Mapping[str, Sequence[str]]) -> list[dict[str, str]]:
    """Return each combination of the values, the last setting changing first. Pure."""
    rows = itertools.product(*settings.values())
    return [dict(zip(settings, row, strict=True)) for row in rows]


def cell_name(
    name: str, cell: Mapping[str, str], settings: Mapping[str, Sequence[str]]
) -> str:
    """Return a job's name that tells its settings apart from the others'. Pure."""
    varied = [f"{key}{cell[key]}" for key in settings if len(settings[key]) > 1]
    if not varied:
        return name
    called = re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join((name or "train", *varied)))
    return called[:_LONGEST_NAME]
