"""What is wrong with a machine or a clone, as the verbs judge it. Pure."""

from collections.abc import Iterable, Sequence

from sandbox_ops.models import Disk, Gpu, Job, MachineStatus
from sandbox_ops.text import formatting

BUSY_PERCENT = 10
BUSY_MIB = 500
LEAST_FREE_BYTES = 1 << 30
LEAST_FREE_SHARE = 0.02
_MIB = 1 << 20
# As the look at a machine says it: there is nothing that could be broken.
_NO_DRIVER = "nvidia-smi is not installed"


def live(jobs: Iterable[Job]) -> tuple[Job, ...]:
    """Return the jobs that have not ended, so far as is known."""
    return tuple(job for job in jobs if not job.state.ended)


def jobs_using(jobs: Iterable[Job], path: str) -> tuple[Job, ...]:
    """Return the live jobs that use the tree at `path`.

    A foreground command counts only if it says so itself: it is somebody's look.
    """
    return tuple(
        job
        for job in live(jobs)
        if job.project_path == path or (not job.foreground and _within(job, path))
    )


def leftovers(jobs: Iterable[Job], path: str) -> tuple[Job, ...]:
    """Return the ended jobs that left processes running in the tree at `path`."""
    return tuple(
        job
        for job in jobs
        if job.state.ended
        and job.survivors
        and (job.project_path == path or _within(job, path))
    )


def _within(job: Job, path: str) -> bool:
    return f"{job.cwd}/".startswith(f"{path}/")


def disk_low(disk: Disk | None) -> str:
    """Return what is short on the disk, in words; "" if nothing is."""
    if disk is None:
        return ""
    if disk.free_inodes == 0:
        return f"no inodes are free at {disk.path}: no new file can be made"
    if disk.free_bytes >= LEAST_FREE_BYTES and (
        disk.free_bytes >= disk.total_bytes * LEAST_FREE_SHARE
    ):
        return ""
    total = disk.total_bytes // _MIB
    return f"only {disk.free_bytes // _MIB} of {total} MiB are free at {disk.path}"


def cost(job: Job, cost_per_hour: float | None) -> float | None:
    """Return what a job has cost so far; None where that is not known."""
    if cost_per_hour is None or job.elapsed_s is None:
        return None
    return round(job.elapsed_s / 3600 * cost_per_hour, 2)


def will_fill(
    disk: Disk | None, written: tuple[str, int] | None, size_gb: float | None, runs: int
) -> str:
    """Return that what the runs will write does not fit, in words; "" if it does.

    Args:
        disk: The room there is.
        written: Which earlier run wrote most, and how many bytes.
        size_gb: What is configured; it goes before that.
        runs: How many are to start.
    """
    if size_gb is not None:
        source, each = "as configured", int(size_gb * 1e9)
    elif written is not None:
        source, each = f"as {written[0]} did", written[1]
    else:
        return ""
    if disk is None or not each or each * runs + LEAST_FREE_BYTES <= disk.free_bytes:
        return ""
    which = f"each of {runs} runs is" if runs > 1 else "the run is"
    return (
        f"{which} expected to write {formatting.size(each)}, {source}, and only "
        f"{formatting.size(disk.free_bytes)} are free at {disk.path}"
    )


def driver_fault(status: MachineStatus) -> str:
    """Return why the GPU driver that is there does not answer; "" if it does."""
    broken = status.gpus is None and status.gpu_error not in ("", _NO_DRIVER)
    return status.gpu_error if broken else ""


def gpu_busy(gpu: Gpu, jobs: Sequence[Job]) -> str:
    """Return who uses a GPU and how much, in words; "" if it is free."""
    claims = [job for job in live(jobs) if gpu.index in job.gpus]
    uses = [f"claimed by {job.id} {job.name}".rstrip() for job in claims]
    if (gpu.utilization_percent or 0) > BUSY_PERCENT:
        uses.append(f"{gpu.utilization_percent} % busy")
    if (gpu.memory_used_mib or 0) > BUSY_MIB:
        uses.append(f"{gpu.memory_used_mib} MiB held{gpu_holders(gpu)}")
    return f"GPU {gpu.index} {gpu.name}: {', '.join(uses)}" if uses else ""


def gpu_holders(gpu: Gpu) -> str:
    """Return ` by pid 435 python, ...`; "" where the driver names nobody."""
    holders = ", ".join(f"pid {p.pid} {p.name}" for p in gpu.processes[:4])
    return f" by {holders}" if holders else ""
