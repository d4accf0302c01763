"""What sbatch is given about a job. Pure.

The shell on the login node adds what only it knows: the job's token as its name, where Slurm's
own words go, and the numbers of jobs that come first (`submit_slurm` in scripts/lib/slurm_submit.sh).
"""

import math

from sandbox_ops.errors import UsageError
from sandbox_ops.models.queue import CORES, QueueRequest
from sandbox_ops.models.settings import SlurmSettings
from sandbox_ops.remote.start_request import StartRequest

WARNING_S = 120
"""So long before the limit the training gets USR1, where it has so much time."""


def submit_options(settings: SlurmSettings, request: StartRequest) -> tuple[str, ...]:
    """Return the options of sbatch for a job.

    Args:
        settings: What the configuration says of the cluster.
        request: The job.

    Raises:
        UsageError: It asks for what Slurm has no option for.
    """
    queue = request.queue or QueueRequest()
    _check(queue, is_cell=request.cell is not None)
    named = {
        "gres": f"gpu:{queue.gpus}" if queue.gpus else "",
        "nodes": str(request.nodes) if request.nodes else "",
        "ntasks-per-node": "1" if request.nodes else "",
        "nice": str(-queue.priority) if queue.priority else "",
        "time": _minutes(request.timeout_s),
        "signal": f"B:USR1@{_warning_s(request.timeout_s)}",
    }
    options = [f"--{name}={value}" for name, value in named.items() if value]
    requeue = queue.retry.retries > 0
    options.append("--requeue" if requeue else "--no-requeue")
    return (*options, *settings.options)


def _check(queue: QueueRequest, *, is_cell: bool) -> None:
    """Refuse what only a machine's own queue can hold; for slots see lib/slurm_chain.sh."""
    if queue.share != 1 or queue.min_free_mem_mib:
        raise UsageError(
            "Slurm gives each job its own GPUs: they are not shared by --share or --min-free-mem"
        )
    if queue.slots not in {0, CORES} and not is_cell:
        raise UsageError(
            "a number of slots is that of a sweep: of other jobs Slurm starts what fits",
            "Limit a job by --time and --gpus, or by `extra` of its sandbox.",
        )


def _minutes(timeout_s: float | None) -> str:
    """Return the limit for Slurm, in whole minutes; our own supervisor holds the exact one."""
    return str(math.ceil(timeout_s / 60)) if timeout_s else ""


def _warning_s(timeout_s: float | None) -> int:
    """Return how long before Slurm's limit USR1 comes: so that it is before ours."""
    if not timeout_s:
        return WARNING_S
    beyond_ours_s = math.ceil(timeout_s / 60) * 60 - timeout_s
    return round(min(WARNING_S, timeout_s / 4) + beyond_ours_s)
