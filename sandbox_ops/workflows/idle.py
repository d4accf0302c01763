"""When a job that runs leaves idle what it has: its GPUs, or the CPUs. Pure."""

from sandbox_ops.models import Job, JobUse
from sandbox_ops.text import formatting
from sandbox_ops.text.log_warnings import LogWarning

IDLE_PERCENT = 10
IDLE_S = 180


def warning(job: Job, use: JobUse | None) -> LogWarning | None:
    """Return the warning that a job has been idle for minutes, with the figure.

    One that has GPUs is judged by them, any other by what its processes use of a core.
    """
    if use is None or job.state.ended or job.foreground:
        return None
    if job.gpus:
        idle_s, percent = use.gpu_idle_s, use.gpu_percent
        what = "its GPUs are" if len(job.gpus) > 1 else "its GPU is"
    else:
        idle_s, percent = use.cpu_window_s, use.cpu_percent
        what = "its processes are"
    if percent is None or idle_s is None or percent >= IDLE_PERCENT or idle_s < IDLE_S:
        return None
    of = "" if job.gpus else " of one core"
    duration = formatting.duration(idle_s)
    return LogWarning("idle", f"{what} idle: {percent} %{of} for {duration}")
