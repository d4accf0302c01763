"""What a job of the queue waits for, and what follows its end. Frozen values, no I/O."""

import re
from dataclasses import dataclass, field

from sandbox_ops.errors import UsageError
from sandbox_ops.models import job_ids

CORES = "cores"
"""As many slots as the machine has cores; a container's limit counts."""

ANY_END = ":any"
"""Behind a job of `after`: any end of it will do, not only success."""

_MOST_PRIORITY = 999
_MOST_GPUS = 1024
_MOST_SHARE = 999
_MOST_SLOTS = 100_000
_MOST_MIB = 1 << 30
_MOST_RETRIES = 10_000
_END = re.compile(r"exit|exit=([1-9]\d{0,2})|signal|oom|lost", re.ASCII)

LOST = "lost"

ENDS = ("exit", "exit=CODE", "signal", "oom", "lost")
"""After what another attempt may follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """What follows an attempt that did not succeed.

    A stop, the deadline and success end the job, whatever stands here.

    Attributes:
        retries: How many attempts may follow the first.
        on: After which ends: `exit` (any exit code but 0), `exit=75`, `signal`, `oom` (the
            kernel killed it for memory), `lost` (its supervisor or its machine died).
        backoff_s: The pause before the second attempt; doubled for each that follows,
            10 minutes at most.
        resume_from: A pattern of checkpoints, from the job's directory on: the newest that is
            not older than the first attempt is passed to those that follow.

    Raises:
        UsageError: A value that cannot be.
    """

    retries: int
    on: tuple[str, ...] = ("exit", "signal", "oom", "lost")
    backoff_s: float = 10.0
    resume_from: str = ""

    def __post_init__(self) -> None:
        _check_range("the number of retries", self.retries, 0, _MOST_RETRIES)
        if not 0 <= self.backoff_s <= 600:  # noqa: PLR2004 - ten minutes
            raise UsageError(f"the pause before a retry cannot be {self.backoff_s} s")
        for end in self.on:
            if not _END.fullmatch(end):
                raise UsageError(
                    f"there is no retry on {end!r}", f"Ends: {', '.join(ENDS)}."
                )
        if "\n" in self.resume_from:
            raise UsageError("a pattern of checkpoints has no line breaks")

    @property
    def words(self) -> str:
        """As `queue_fields` in scripts/lib/start.sh reads it."""
        on = ",".join(self.on)
        return (
            f"retries={self.retries} on={on} backoff_cs={round(self.backoff_s * 100)}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRequest:
    """What a job waits for before it starts.

    Attributes:
        gpus: How many GPUs it takes.
        share: How many jobs may have one of these GPUs at once, itself counted; 1: alone.
        min_free_mem_mib: So much memory must be free on each, what others that share it
            asked for counted as used.
        slots: At most so many jobs of the queue run at once, counting those that asked for
            a slot; 0: it needs none; `CORES`.
        priority: Higher ones come first, -999 to 999.
        after: Ids of jobs that must have succeeded; with `ANY_END` behind one, ended.
        retry: What follows an attempt that did not succeed.

    Raises:
        UsageError: A value that cannot be.
    """

    gpus: int = 0
    share: int = 1
    min_free_mem_mib: int = 0
    slots: int | str = 0
    priority: int = 0
    after: tuple[str, ...] = ()
    retry: RetryPolicy = field(default_factory=lambda: RetryPolicy(retries=0))

    def __post_init__(self) -> None:
        _check_range("the number of GPUs", self.gpus, 0, _MOST_GPUS)
        _check_range("the number of jobs on a GPU", self.share, 1, _MOST_SHARE)
        _check_range("the free memory in MiB", self.min_free_mem_mib, 0, _MOST_MIB)
        _check_range("the priority", self.priority, -_MOST_PRIORITY, _MOST_PRIORITY)
        if self.slots != CORES:
            _check_range("the number of slots", self.slots, 0, _MOST_SLOTS)
        for each in self.after:
            if not job_ids.is_id(each.removesuffix(ANY_END)) or job_ids.is_command(
                each
            ):
                raise UsageError(
                    f"a job cannot wait for {each!r}", "Name a job by its id."
                )

    @property
    def words(self) -> str:
        """As `queue_fields` in scripts/lib/start.sh reads it."""
        return (
            f"gpus={self.gpus} share={self.share} free_mib={self.min_free_mem_mib}"
            f" slots={self.slots} priority={self.priority} after={','.join(self.after)}"
            f" {self.retry.words}"
        )

    @property
    def record(self) -> dict[str, object]:
        """As the job's own record keeps it."""
        return {
            "gpus": self.gpus,
            "share": self.share,
            "min_free_mem_mib": self.min_free_mem_mib,
            "slots": self.slots,
            "priority": self.priority,
            "after": list(self.after),
        }


def _check_range(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        raise UsageError(
            f"{name} cannot be {value}", f"From {least} to {most} will do."
        )
