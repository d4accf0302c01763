"""What speaks against a start: a busy GPU, code that differs, little room. Pure."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sandbox_ops.errors import NextStep, RefusedError
from sandbox_ops.git.local import LocalTree
from sandbox_ops.machine.repo import Tree
from sandbox_ops.models import Gpu, MachineStatus
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.workflows import outputs, preflight


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """A reason not to start, and the name by which it can be overridden."""

    force: str
    message: str
    hint: NextStep


def choose(
    status: MachineStatus, wanted: int | None
) -> tuple[tuple[Gpu, ...], tuple[Objection, ...]]:
    """Return the GPUs to take, and what speaks against it. Pure.

    Busy ones come after the free ones, for a start with `force`; claimed ones are never taken.
    """
    fault = preflight.driver_fault(status)
    if fault and wanted != 0:
        objection = Objection(
            force="gpu-driver",
            message=f"the GPUs cannot be used, for their driver does not answer: {fault}",
            hint=NextStep("doctor", purpose="See what is wrong"),
        )
        return (), (objection,)
    gpus = status.gpus or ()
    number = min(1, len(gpus)) if wanted is None else wanted
    busy = {gpu.index: preflight.gpu_busy(gpu, status.jobs) for gpu in gpus}
    free = [gpu for gpu in gpus if not busy[gpu.index]]
    if len(free) >= number:
        return tuple(free[:number]), ()
    claimed = {index for job in preflight.live(status.jobs) for index in job.gpus}
    shared = [gpu for gpu in gpus if busy[gpu.index] and gpu.index not in claimed]
    shared.sort(key=lambda gpu: gpu.memory_used_mib or 0)
    chosen = (free + shared)[:number]
    why = tuple(use for use in busy.values() if use) or (
        status.gpu_error or "the machine has none",
    )
    objection = Objection(
        force="busy-gpu",
        message=listed(f"{number} GPUs are wanted, {len(free)} are free:", why),
        hint=NextStep("monitor", purpose="Wait, or see who it is"),
    )
    return (tuple(chosen) if len(chosen) == number else ()), (objection,)


def code_objections(
    tree: Tree, local_tree: LocalTree | None, keep: tuple[str, ...] = ()
) -> tuple[Objection, ...]:
    """Return how the code there is not the code here, or not upstream's. Pure.

    Args:
        tree: The clone there.
        local_tree: The clone here, if there is one.
        keep: The declared outputs, which may be edited.
    """
    reasons = []
    edits = outputs.edits_without(tree.edits, keep)
    if edits:
        reasons.append(listed(f"there are edits in {tree.path}:", edits))
    if local_tree and local_tree.commit and local_tree.commit != tree.head:
        reasons.append(
            f"{tree.path} is at {(tree.head or 'no commit')[:10]}, "
            f"{local_tree.branch} here at {local_tree.commit[:10]}"
        )
    if local_tree and local_tree.edits:
        reasons.append(listed("edits here are not committed:", local_tree.edits))
    objections = []
    if reasons:
        fix = NextStep("reset") if edits else NextStep("sync", {"push": True})
        here_first = not edits and local_tree and local_tree.edits
        objections.append(
            Objection(
                force="stale-code",
                message="\n".join(reasons),
                hint=replace(
                    fix, purpose="Commit them here, then" if here_first else "Try"
                ),
            )
        )
    if tree.unpushed:
        objections.append(
            Objection(
                force="unpushed",
                message=listed("commits there are not upstream:", tree.unpushed),
                hint=NextStep("reset", purpose="Rescue and undo them"),
            )
        )
    return tuple(objections)


def disk_objections(
    status: MachineStatus, size_gb: float | None = None, runs: int = 1
) -> tuple[Objection, ...]:
    """Return the lack of room, if there is one. Pure.

    Args:
        status: The machine, and what earlier runs wrote.
        size_gb: What one of the runs will write, if that is configured.
        runs: How many are to start.
    """
    short = preflight.disk_low(status.disk) or preflight.will_fill(
        status.disk, status.written, size_gb, runs
    )
    if not short:
        return ()
    folder = shlex.quote(status.disk.path) if status.disk else "."
    command = f"du -xh --max-depth=2 {folder}"
    hint = NextStep("run", {"command": command}, "Make room there")
    return (Objection(force="disk-low", message=short, hint=hint),)


def overridden(
    objections: Iterable[Objection], force: Sequence[str]
) -> tuple[str, ...]:
    """Return the forced objections as warnings.

    Raises:
        RefusedError: Some are not forced; says all of them, and how each is.
    """
    objections = tuple(objections)
    left = [each for each in objections if each.force not in force]
    if left:
        hints = {str(each.hint): each.hint for each in left}
        names = tuple(each.force for each in left)
        raise RefusedError(
            "\n".join(each.message for each in left),
            *hints.values(),
            NextStep(
                "train", {"force": names}, "Start all the same, as before and with"
            ),
        )
    return tuple(f"{each.force}: {each.message}" for each in objections)
