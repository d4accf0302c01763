"""Which run is meant. Pure."""

from collections.abc import Sequence

from sandbox_ops.errors import NextStep, NotFoundError
from sandbox_ops.models.runs import Run, RunReference


def find(runs: Sequence[Run], wanted: RunReference, default: str = "") -> Run:
    """Return the run that is meant; of several that fit the newest of the default machine's.

    Args:
        runs: Those to look among, newest first.
        wanted: Which.
        default: The machine that an id belongs to where none is named.

    Raises:
        NotFoundError: There is none; names the newest.
    """
    fitting = [run for run in runs if _fits(run, wanted)]
    sandbox = wanted.sandbox or default
    preferred = [run for run in fitting if run.sandbox == sandbox]
    if not wanted.sandbox and not preferred:
        preferred = fitting
    if preferred:
        return preferred[0]
    newest = ", ".join(f"{run.job.id} {run.job.name}".strip() for run in runs[:5])
    raise NotFoundError(
        f"there is no run {wanted.text!r}",
        *((f"The newest are {newest}.",) if newest else ()),
        NextStep("runs", purpose="All of them"),
    )


def _fits(run: Run, wanted: RunReference) -> bool:
    if wanted.job_id:
        return run.job.id == wanted.job_id
    if wanted.cell is not None:
        return (run.group, run.cell) == (wanted.name, wanted.cell)
    return wanted.name == "last" or wanted.name in {run.job.name, run.group}
