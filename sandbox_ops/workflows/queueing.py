"""What a training waits for, where it may wait: from options to the machine's queue.

`--after JOB` waits for success: where that job ends in another way, the training that waits
for it ends as `stopped`, without having run. `JOB:any` waits for any end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from sandbox_ops.errors import NextStep, RefusedError
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Gpu, MachineStatus
from sandbox_ops.models.queue import ANY_END, CORES, QueueRequest, RetryPolicy
from sandbox_ops.workflows.train_objections import Objection

T = TypeVar("T")
_BUSY = "busy-gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOptions:
    """How a training goes through the queue.

    Attributes:
        waits: Whether it waits for a GPU that is busy; else it is refused then, as without
            a queue, and only its retries are the queue's.
        share: How many jobs may have one of its GPUs at once; 1: it has them alone. None:
            what is configured for the machine, or 1.
        min_free_mem_mib: So much memory must be free on each; None: what is configured.
        slots: So many jobs of the queue may run at once; None: for a training without a GPU
            what is configured, or as many as there are cores; any number for one with.
        priority: Higher ones come first, -999 to 999.
        after: Jobs that must have succeeded, or ended where `:any` stands behind one.
        retry: What follows an attempt that did not succeed; None: nothing.
    """

    waits: bool = True
    share: int | None = None
    min_free_mem_mib: int | None = None
    slots: int | None = None
    priority: int = 0
    after: tuple[str, ...] = ()
    retry: RetryPolicy | None = None


def asked(
    waits: bool,
    after: Sequence[str] = (),
    retries: int | None = None,
) -> QueueOptions | None:
    """Return what was asked of the queue in few words; None where nothing was."""
    if not (waits or after or retries):
        return None
    retry = RetryPolicy(retries=retries) if retries else None
    return QueueOptions(waits=waits or bool(after), after=tuple(after), retry=retry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a training starts.

    Attributes:
        gpus: Those that it takes at once; none where the machine chooses them later.
        objections: What speaks against it.
        queue: What it waits for; None: it starts at once.
    """

    gpus: tuple[Gpu, ...]
    objections: tuple[Objection, ...]
    queue: QueueRequest | None = None


def plan(
    sandbox: Sandbox,
    options: QueueOptions | None,
    status: MachineStatus,
    wanted: int | None,
    at_once: Plan,
) -> Plan:
    """Return how a training starts that goes through the queue, if it does.

    Args:
        sandbox: The machine.
        options: What was asked; None: it starts at once.
        status: The machine, as it is.
        wanted: How many GPUs; None: one, where there are any.
        at_once: How it would start without a queue.

    Raises:
        RefusedError: It would wait for ever.
        NotFoundError: There is no such job to wait for.
        UsageError: A value that cannot be.
    """
    if sandbox.config.by_slurm:
        return _by_slurm(sandbox, options or QueueOptions(), wanted)
    if options is None:
        return at_once
    there = len(status.gpus or ())
    number = min(1, there) if wanted is None else wanted
    if status.gpus is not None and number > there:
        raise RefusedError(
            f"{number} GPUs are wanted, and the machine has {there}: it would wait for ever",
            NextStep("monitor", purpose="See what there is"),
        )
    config = sandbox.config
    slots_without_gpu: int | str = config.slots or CORES
    request = QueueRequest(
        gpus=number,
        share=_given(options.share, config.gpu_share or 1),
        min_free_mem_mib=_given(options.min_free_mem_mib, config.min_free_mem_mib or 0),
        slots=_given(options.slots, 0 if number else slots_without_gpu),
        priority=options.priority,
        after=_ids(sandbox, options.after),
        retry=options.retry or RetryPolicy(retries=0),
    )
    objections = at_once.objections
    if options.waits:
        objections = tuple(each for each in objections if each.force != _BUSY)
    return replace(at_once, gpus=(), objections=objections, queue=request)


def _by_slurm(sandbox: Sandbox, options: QueueOptions, wanted: int | None) -> Plan:
    """Return how a training goes to Slurm, whose nodes cannot be looked at from here."""
    request = QueueRequest(
        gpus=wanted or 0,
        share=options.share or 1,
        min_free_mem_mib=options.min_free_mem_mib or 0,
        slots=options.slots or 0,
        priority=options.priority,
        after=_ids(sandbox, options.after),
        retry=options.retry or RetryPolicy(retries=0),
    )
    return Plan(gpus=(), objections=(), queue=request)


def _given(value: int | None, otherwise: T) -> int | T:
    return otherwise if value is None else value


def _ids(sandbox: Sandbox, after: Sequence[str]) -> tuple[str, ...]:
    ids = []
    for each in after:
        any_end = ANY_END if each.endswith(ANY_END) else ""
        ids.append(jobs.get(sandbox, each.removesuffix(ANY_END)).id + any_end)
    return tuple(ids)
