"""What nvidia-smi, df, loadavg and ps printed, text to values. Pure.

Drivers differ: any field may be missing, `[N/A]` or `[Not Supported]`, and processes of
other containers may be hidden. What is not known is None.
"""

from collections.abc import Iterable, Sequence

from sandbox_ops.models import (
    Disk,
    ForeignProcess,
    Gpu,
    GpuProcess,
    JobUse,
    LogDigest,
    MachineStatus,
)
from sandbox_ops.remote.frames import Segment
from sandbox_ops.text import remote_text

_MOST_DIGITS = 18
_GPU_ERROR_BYTES = 500


def status(segments: Sequence[Segment]) -> MachineStatus:
    """Return the readings of one look; its jobs are not in it."""
    texts = {s.what: s.data.decode("utf-8", "replace") for s in segments}
    load, cpus = _load(texts.get("load", ""))
    return MachineStatus(
        gpus=gpus(texts["gpus"], texts.get("gpu-processes", ""))
        if "gpus" in texts
        else None,
        gpu_error=_gpu_error(texts.get("no-gpu", "")),
        disk=disk(texts.get("disk", "")),
        load_1min=load,
        cpus=cpus,
        foreign=tuple(foreign(texts.get("foreign", ""))),
    )


def _gpu_error(text: str) -> str:
    """Return what nvidia-smi complained of; it was cut where it is long (machine.sh)."""
    data = text.encode()
    data = _up_to_cut(data) if len(data) >= _GPU_ERROR_BYTES else data
    return data.decode("utf-8", "replace").strip()


def digests(segments: Sequence[Segment]) -> Iterable[tuple[str, LogDigest]]:
    """Yield the digest of each job that an answer has one of, with its id."""
    for segment in segments:
        if segment.what == "digest" and segment.words:
            parts = (*segment.data.split(b"\x1e"), b"", b"", b"", b"")
            head, notable, tail, metrics_file = parts[:4]
            yield (
                segment.words[0],
                LogDigest(
                    head=_up_to_cut(head),
                    notable=_from_cut(notable),
                    tail=_from_cut(tail) if head else tail,
                    metrics_file=metrics_file,
                ),
            )


def _from_cut(data: bytes) -> bytes:
    """Return bytes that were cut from a longer text, without the rest of a secret."""
    return data[remote_text.rest_bytes(data) :]


def _up_to_cut(data: bytes) -> bytes:
    """Return bytes that go on where they were cut, without the beginning of a secret."""
    return data[: len(data) - remote_text.held_bytes(data)]


def use(segments: Sequence[Segment]) -> dict[str, JobUse]:
    """Return how busy each job is that an answer tells of, by its id."""
    return {
        segment.words[0]: JobUse(
            cpu_percent=_number(segment.fields.get("cpu", "")),
            cpu_window_s=_number(segment.fields.get("window", "")),
            gpu_percent=_number(segment.fields.get("gpu", "")),
            gpu_idle_s=_number(segment.fields.get("idle", "")),
        )
        for segment in segments
        if segment.what == "usage" and segment.words
    }


def written(segments: Sequence[Segment]) -> tuple[str, int] | None:
    """Return which run wrote most, and how many bytes, if an answer tells it."""
    for segment in segments:
        size = _number(segment.fields.get("bytes", ""))
        if segment.what == "written" and segment.words and size is not None:
            return segment.words[0], size
    return None


def gpus(devices: str, processes: str = "") -> tuple[Gpu, ...]:
    """Read `nvidia-smi --format=csv,noheader,nounits` of devices and of processes.

    Columns: index, name, uuid, utilization.gpu, memory.used, memory.total,
    temperature.gpu, driver_version; and gpu_uuid, pid, used_memory, process_name.
    """
    by_uuid: dict[str, list[GpuProcess]] = {}
    for row in _rows(processes, 4):
        if _is_number(row[1]):
            process = GpuProcess(
                pid=int(row[1]), name=row[3], memory_used_mib=_number(row[2])
            )
            by_uuid.setdefault(row[0], []).append(process)
    return tuple(
        Gpu(
            index=int(row[0]),
            name=row[1],
            uuid=row[2],
            utilization_percent=_number(row[3]),
            memory_used_mib=_number(row[4]),
            memory_total_mib=_number(row[5]),
            temperature_c=_number(row[6]),
            processes=tuple(by_uuid.get(row[2], ())),
        )
        for row in _rows(devices, 8)
        if _is_number(row[0])
    )


def _rows(text: str, columns: int) -> Iterable[list[str]]:
    """Cut lines into columns; nvidia-smi quotes nothing, so the last one may hold commas."""
    for line in text.splitlines():
        row = [cell.strip() for cell in line.split(",", columns - 1)]
        if len(row) == columns:
            yield row


def _is_number(text: str) -> bool:
    """Whether it is a number of a sane length: `int` refuses those of 4,301 digits."""
    return len(text) <= _MOST_DIGITS and text.isascii() and text.isdecimal()


def _number(cell: str) -> int | None:
    try:
        return round(float(cell))
    except (ValueError, OverflowError):
        return None


def disk(text: str) -> Disk | None:
    """Read `df -Pk PATH`, an empty line, `df -Pi PATH`."""
    blocks, _, inodes = text.partition("\n\n")
    rows = [line.split() for line in blocks.splitlines()[1:]]
    if not rows or len(rows[0]) < 6:  # noqa: PLR2004  # the columns of POSIX df
        return None
    total, free = _number(rows[0][1]), _number(rows[0][3])
    if total is None or free is None:
        return None
    counts = [line.split() for line in inodes.splitlines()[1:]]
    known = counts and len(counts[0]) > 3 and counts[0][1] not in {"0", "-"}  # noqa: PLR2004
    return Disk(
        path=" ".join(rows[0][5:]),
        free_bytes=free * 1024,
        total_bytes=total * 1024,
        free_inodes=_number(counts[0][3]) if known else None,
    )


def _load(text: str) -> tuple[float | None, int | None]:
    fields = text.split()
    try:
        load = float(fields[0])
    except (IndexError, ValueError):
        return None, None
    return load, _number(fields[-1]) if len(fields) > 5 else None  # noqa: PLR2004


def foreign(text: str) -> Iterable[ForeignProcess]:
    """Read `PID USER AGE_S COMMAND` lines, with a tab and the folder behind each."""
    for whole in text.splitlines():
        line, tab, cwd = whole.rpartition("\t")
        line, cwd = (line, cwd) if tab else (whole, "")
        pid, user, age, command = (*line.split(maxsplit=3), "", "", "", "")[:4]
        if _is_number(pid) and _is_number(age):
            yield ForeignProcess(
                pid=int(pid), user=user, age_s=int(age), command=command[:200], cwd=cwd
            )
