"""The options of a training that may wait, as they stand on a command line. Pure."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sandbox_ops.errors import UsageError

if TYPE_CHECKING:
    from sandbox_ops.workflows.queueing import QueueOptions

_MEMORY = re.compile(r"(\d{1,9})\s*(|M|MiB|G|GiB)", re.ASCII | re.IGNORECASE)


def read(  # noqa: PLR0913 - one for each option
    *,
    queue: bool,
    share: str,
    min_free_mem: str,
    slots: str,
    after: Sequence[str],
    priority: str,
    retries: str,
    retry_on: str,
    resume_from: str,
) -> "QueueOptions | None":
    """Return what was asked of the queue; None where nothing was.

    Each of the options but those of retries implies `--queue`.

    Raises:
        UsageError: A value cannot be read, or one makes no sense without another.
    """
    if (retry_on or resume_from) and not retries:
        option = "--retry-on" if retry_on else "--resume-from"
        raise UsageError(f"{option} says how to retry", "Give --retries N, too.")
    waits = queue or any((share, min_free_mem, slots, after, priority))
    if not (waits or retries):
        return None
    from sandbox_ops.models.queue import RetryPolicy
    from sandbox_ops.workflows.queueing import QueueOptions

    retry = None
    if retries:
        number = _whole(retries, "--retries")
        ends = tuple(each.strip() for each in retry_on.split(",") if each.strip())
        policy = RetryPolicy(retries=number, resume_from=resume_from)
        retry = (
            RetryPolicy(retries=number, on=ends, resume_from=resume_from)
            if ends
            else policy
        )
    return QueueOptions(
        waits=waits,
        share=_whole(share, "--share") if share else None,
        min_free_mem_mib=memory_mib(min_free_mem) if min_free_mem else None,
        slots=_whole(slots, "--slots") if slots else None,
        priority=_whole(priority, "--priority") if priority else 0,
        after=tuple(job for each in after for job in each.split(",") if job),
        retry=retry,
    )


def memory_mib(text: str) -> int:
    """Return an amount of memory in MiB: `20G`, `512M`, `20480`.

    Raises:
        UsageError: It is none.
    """
    match = _MEMORY.fullmatch(text.strip())
    if not match:
        raise UsageError(
            f"--min-free-mem takes an amount of memory, not `{text}`",
            "for example: --min-free-mem 20G; without a unit it is MiB",
        )
    return int(match[1]) * (1024 if match[2].upper().startswith("G") else 1)


def _whole(text: str, option: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text.strip()):
        raise UsageError(
            f"{option} takes a whole number, not `{text}`", f"for example: {option} 2"
        )
    return int(text)
