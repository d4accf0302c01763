"""The words for values: the same for people, programs and agents.

Text in, text out: nothing here reads a clock, a file or a terminal. What came from the
machine (names, commands) is expected to be cleaned already; `None` is said as `?`.
"""

import math
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sandbox_ops.errors import NextStep, SandboxError
from sandbox_ops.models import CommandResult, EndKind, Job
from sandbox_ops.text import remote_text

if TYPE_CHECKING:
    from sandbox_ops.models import Disk, ForeignProcess, Gpu
    from sandbox_ops.models.transfers import TransferProgress

_SPANS = (
    (86400, "d", 3600, "h"),
    (3600, "h", 60, "min"),
    (60, "min", 1, "s"),
)
_TENTHS_S = 9.95  # below that a tenth of a second is news
_PREAMBLE = re.compile(
    r"\A\s*(?:cd\s+(?:'[^']*'|\"[^\"]*\"|[^\s;&|'\"]+)\s*(?:&&|;|\n)\s*)+(?=\S)"
)
_WIDTH = 80
_COMMANDS = ("sandbox-ops ", "git ", "ssh ")
_KIB = 1024
_THREE_DIGITS = 1000  # so that it is never `1023.0 KiB`


def duration(seconds: float | None) -> str:
    """A span of time with its two largest units: `0.4 s`, `3 min 05 s`, `2 d 03 h`."""
    if seconds is None or not math.isfinite(seconds):
        return "?"
    if 0 <= seconds < _TENTHS_S and seconds % 1:
        return f"{seconds:.1f} s"
    whole = round(abs(seconds))
    sign = "-" if seconds < 0 else ""
    for large, unit, small, part in _SPANS:
        if whole >= large:
            return f"{sign}{whole // large} {unit} {whole % large // small:02d} {part}"
    return f"{sign}{whole} s"


def size(n_bytes: int | None) -> str:
    """A number of bytes with three digits at most before the point: `1.5 GiB`."""
    if n_bytes is None:
        return "?"
    amount = float(n_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < _THREE_DIGITS:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIB
    return f"{amount:.1f} TiB"


def transfer_sizes(done_bytes: int, total_bytes: int, rate_bytes_s: float) -> str:
    """How much of a transfer is done: `1.2 MiB of 3.0 MiB, 310.5 KiB/s`."""
    rate = f", {size(round(rate_bytes_s))}/s" if rate_bytes_s else ""
    return f"{size(done_bytes)} of {size(total_bytes)}{rate}"


def transfer_line(now: "TransferProgress") -> str:
    """How far a transfer is: `a.pt: 1.2 MiB of 3.0 MiB, 310.5 KiB/s, about 6 s left`."""
    sizes = transfer_sizes(now.total_done_bytes, now.total_bytes, now.rate_bytes_s)
    left = "" if now.eta_s is None else f", about {duration(round(now.eta_s))} left"
    return f"{now.path}: {sizes}{left}"


def count(number: int, noun: str) -> str:
    """A number with its noun: `1 process`, `3 files`."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} {noun}es" if noun.endswith("s") else f"{number} {noun}s"


def listing(names: Sequence[str], most: int) -> str:
    """Names in a sentence, the first of them: `a`, `a and b`, `a, b and 3 more`."""
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    *others, last = shown or [""]
    return f"{', '.join(others)} and {last}" if others else last


def figure(value: float | None) -> str:
    """A metric with four digits that say something: `0.01234`, `1.2e-06`, `nan`."""
    return "?" if value is None else f"{value:.4g}"


def one_line(text: str, limit: int = 60) -> str:
    """The words on one line, cut with an ellipsis where they are longer than `limit`.

    Secrets are masked before: the beginning of one would not be known for what it is.
    """
    line = " ".join(remote_text.masked(text).split())
    return line if len(line) <= limit else f"{line[: max(1, limit) - 1]}…"


def short(commit: str) -> str:
    """A commit as people write it."""
    return commit[:10] or "none"


def job_summary(job: Job) -> str:
    """What a job does: its description where it is a step of ours, else its command.

    Of a command without the folder that it goes to first: lists are narrow, and that says
    the least.
    """
    ours = job.foreground and job.description
    return job.description if ours else _PREAMBLE.sub("… ", job.command, count=1)


def job_line(job: Job) -> str:
    """A job in one line: `remote-3 "night" running, 2 h 05 min: python train.py`."""
    name = f' "{one_line(job.name, 40)}"' if job.name else ""
    elapsed = "" if job.elapsed_s is None else f", {duration(job.elapsed_s)}"
    doing = f": {one_line(job_summary(job))}" if job_summary(job) else ""
    return f"{job.id}{name} {job.words}{elapsed}{doing}"


def survivors_words(job: Job) -> str:
    """What a command left running: `2 processes of cmd-7 still live`; "" if nothing."""
    if not job.survivors:
        return ""
    alive = count(job.survivors, "process")
    verb = "lives" if job.survivors == 1 else "live"
    return f"{alive} of {job.id} still {verb}"


def end_lines(
    result: CommandResult, aim: Callable[[NextStep], object] = str
) -> tuple[str, ...]:
    """What an exit code alone does not say of how a command ended.

    Args:
        result: How it ended.
        aim: How a face says a step of that machine.
    """
    job = result.job
    lines: list[str] = []
    if result.end is EndKind.SIGNALLED:
        lines.append(f"{job.id} {job.words}")
    elif result.end is EndKind.TIMED_OUT:
        lines.append(f"{job.id} timed out; {_tree(result.left)}")
    elif result.end is EndKind.CONNECTION_LOST:
        lines += _lost(job, aim)
    if survivors := survivors_words(job):
        lines.append(f"{survivors}; {aim(NextStep('stop', {'job': job.id}, 'end'))}")
    if job.log_incomplete:
        lines.append(f"the output of {job.id} is not complete: part was dropped there")
    return tuple(lines)


def _lost(job: Job, aim: Callable[[NextStep], object]) -> tuple[str, str]:
    if not job.id:  # the answer to its start never came
        why = job.reason or "the connection was lost"
        return (
            f"error: {why}",
            f"hint: {aim(NextStep('jobs', purpose='see whether it runs'))}",
        )
    why = (job.reason or "the connection was lost").rstrip(".")
    step = aim(NextStep("logs", {"job": job.id}, "See it"))
    return (
        f"error: {why}; whether {job.id} ended or lives is unknown",
        f"hint: a lost link ends nothing there. {step}",
    )


def _tree(left: tuple[str, ...]) -> str:
    if not left:
        return "no process of it can be found any more"
    return f"still alive: {', '.join(left)}"


def gpu_line(gpu: "Gpu") -> str:
    """A GPU in one line: `GPU 0 H100: 97 %, 10.0 of 80.0 GiB, 61 °C`."""
    use = "?" if gpu.utilization_percent is None else f"{gpu.utilization_percent} %"
    heat = "" if gpu.temperature_c is None else f", {gpu.temperature_c} °C"
    return f"GPU {gpu.index} {gpu.name}: {use}, {gpu_memory(gpu)}{heat}"


def gpu_memory(gpu: "Gpu") -> str:
    """The memory of a GPU: `10.0 of 80.0 GiB`."""
    used, total = (
        "?" if mib is None else f"{mib / _KIB:.1f}"
        for mib in (gpu.memory_used_mib, gpu.memory_total_mib)
    )
    return f"{used} of {total} GiB"


def disk_line(disk: "Disk | None") -> str:
    """The room on a file system: `41.2 GiB free of 100.0 GiB at /workspace`."""
    if disk is None:
        return "?"
    return f"{size(disk.free_bytes)} free of {size(disk.total_bytes)} at {disk.path}"


def foreign_line(process: "ForeignProcess") -> str:
    """A process that is not ours: `4242 alice, 3 h 10 min: python train.py in /w`."""
    age = duration(process.age_s)
    where = f" in {process.cwd}" if process.cwd else ""
    return f"{process.pid} {process.user}, {age}: {one_line(process.command)}{where}"


def error_text(error: SandboxError) -> str:
    """An error for people: what and where, then the next step on its own line.

    No line of what a machine said begins as one of ours does.
    """
    message, *more = error.message.splitlines() or [""]
    lines = [f"error: {message}", *(f"  {line}" for line in more)]
    hints = [line for hint in error.hints for line in hint_lines(hint, _WIDTH - 6)]
    for begin, line in zip(("hint: ", *["      "] * len(hints)), hints, strict=False):
        lines.append(f"{begin}{line}")
    return "\n".join(lines)


def hint_lines(hint: str | NextStep, width: int) -> list[str]:
    """A hint in lines of at most `width` columns: words wrap, a command stays whole.

    A command that does not fit behind its purpose has a line of its own, to be copied.
    """
    if len(str(hint)) <= width and "\n" not in str(hint):
        return [str(hint)]
    if isinstance(hint, NextStep):
        return [*wrapped(f"{hint.purpose}:" * bool(hint.purpose), width), hint.command]
    lines: list[str] = []
    for line in hint.splitlines():
        purpose, colon, command = line.rpartition(": ")
        if len(line) > width and colon and command.startswith(_COMMANDS):
            lines += [*wrapped(f"{purpose}:", width), command]
        else:
            lines += wrapped(line, width) if len(line) > width else [line]
    return lines


def wrapped(text: str, width: int) -> list[str]:
    """Text in lines of at most `width` columns; a word that is longer stays whole."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The value with null for NaN and infinities, which JSON does not know."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(inner) for inner in value]
    return value
