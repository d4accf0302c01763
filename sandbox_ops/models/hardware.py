"""What one look at a machine shows: GPUs, disk, load, other people's work. Frozen values, no I/O."""

from dataclasses import dataclass, field

from sandbox_ops.models.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that holds GPU memory, ours or not."""

    pid: int
    name: str
    memory_used_mib: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU; None where the driver does not say."""

    index: int
    name: str
    uuid: str = ""
    utilization_percent: int | None = None
    memory_used_mib: int | None = None
    memory_total_mib: int | None = None
    temperature_c: int | None = None
    processes: tuple[GpuProcess, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Room on the file system that holds a path."""

    path: str
    free_bytes: int
    total_bytes: int
    free_inodes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProcess:
    """A training-like process or tmux session that is not ours; never touched.

    Attributes:
        cwd: The folder that it works in; "" where we may not see that.
    """

    pid: int
    user: str
    age_s: int
    command: str
    cwd: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUse:
    """How busy a job keeps the machine; None where that is not known.

    Attributes:
        cpu_percent: What its processes used of the CPUs, in percent of one core.
        cpu_window_s: Of so long a time, up to now.
        gpu_percent: Use of the busiest of its GPUs.
        gpu_idle_s: For so long all of them were seen below 10 %; 0: they are not.
    """

    cpu_percent: int | None = None
    cpu_window_s: int | None = None
    gpu_percent: int | None = None
    gpu_idle_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogDigest:
    """What tells of a job's progress, without reading all of its log.

    Attributes:
        tail: The end of its log; of a line that was redrawn only the last state.
        head: The beginning of its log; empty where `tail` is all of it.
        notable: The last lines before the end that speak of a training, and of a crash.
        metrics_file: The end of what it wrote to `$SANDBOX_METRICS`.
    """

    tail: bytes = b""
    head: bytes = b""
    notable: bytes = b""
    metrics_file: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineStatus:
    """What one look at the machine found; `digests` and `use` by job id, where asked for.

    `written` is which of the project's newest runs wrote most, and how many bytes.
    """

    jobs: tuple[Job, ...] = ()
    digests: dict[str, LogDigest] = field(default_factory=dict)
    gpus: tuple[Gpu, ...] | None = None
    gpu_error: str = ""
    disk: Disk | None = None
    load_1min: float | None = None
    cpus: int | None = None
    foreign: tuple[ForeignProcess, ...] = ()
    use: dict[str, JobUse] = field(default_factory=dict)
    written: tuple[str, int] | None = None
