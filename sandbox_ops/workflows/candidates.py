"""How a machine stands for a training: what speaks against it, what it needs first. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox_ops.errors import SandboxError
from sandbox_ops.git.local import LocalTree
from sandbox_ops.guard.reliability import Reliability
from sandbox_ops.machine.repo import Tree
from sandbox_ops.models import JobState, MachineStatus
from sandbox_ops.workflows import train_objections
from sandbox_ops.workflows.slurm_room import SlurmRoom

SETUP, SYNC = "setup", "sync"
BUSY_GPU = "busy-gpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A machine, as it was looked at.

    Attributes:
        name: Of the sandbox.
        against: Why nothing can be started there; "": it can.
        busy: Why a training would wait there, or share the cores; "": it has room.
        queue_length: Of several that are busy, the one with the least comes first: how many
            jobs wait in its queue, or how much load each of its cores has.
        needs: What has to be done there first: setup, sync.
        reliability: How often it answered so far.
        error: Why it did not answer; None where it did.
    """

    name: str
    against: str = ""
    busy: str = ""
    queue_length: float = 0
    needs: tuple[str, ...] = ()
    reliability: Reliability = field(default_factory=Reliability)
    error: SandboxError | None = None

    @property
    def may_come(self) -> bool:
        """Whether something can be started there, now or once it answers again."""
        return not self.against or self.error is not None

    @property
    def hindrance(self) -> str:
        """What puts it behind others, whatever the order; "" if nothing does."""
        flaky = f"often fails: {self.reliability}" if self.reliability.is_flaky else ""
        return self.against or self.busy or flaky

    @property
    def why_not(self) -> str:
        """Why another one goes before it; "" where it only comes later in the order."""
        needs = f"needs {' and '.join(self.needs)}" if self.needs else ""
        return self.hindrance or needs


def order(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return those that can be taken, the best first; else as they come. Pure."""

    def place_of(each: Candidate) -> tuple[bool, bool, float, bool]:
        length = each.queue_length if each.busy else 0
        return each.reliability.is_flaky, bool(each.busy), length, bool(each.needs)

    return sorted((each for each in candidates if not each.against), key=place_of)


def verdict(  # each is one fact
    status: MachineStatus,
    tree: Tree | None,
    local_tree: LocalTree | None,
    gpus: int | None,
    *,
    is_current: bool,
    ignored: set[str] | frozenset[str] = frozenset(),
    slurm: SlurmRoom | None = None,
) -> Candidate:
    """Return how a machine stands, without its name. Pure.

    Args:
        status: The machine.
        tree: The clone there; None where there is none.
        local_tree: The clone here; None where there is none.
        gpus: How many free GPUs are wanted; None: one, where there are any.
        is_current: The environment there was set up for the code there.
        ignored: Names of objections that do not count.
        slurm: What the cluster behind it has; None: the machine itself runs it.
    """
    if slurm and slurm.against:
        return Candidate(name="", against=slurm.against)
    objections = list(train_objections.disk_objections(status))
    if not slurm:
        objections[:0] = train_objections.choose(status, gpus)[1]
    if tree and tree.edits:
        objections += train_objections.code_objections(tree, None)
    left = [each for each in objections if each.force not in ignored]
    if left:
        against = "; ".join(_first_lines(each.message) for each in left)
        return Candidate(name="", against=against)
    busy, length = _busy(status, gpus, slurm)
    needs = []
    local_commit = local_tree.commit if local_tree else None
    if tree and local_commit and tree.head != local_commit:
        using = [job.id for job in status.jobs if _uses(job.state, job.cwd, tree.path)]
        if using:
            against = f"its code is another, and {', '.join(using)} runs in it"
            return Candidate(name="", against=against)
        needs.append(SYNC)
    if not is_current:
        needs.append(SETUP)
    return Candidate(name="", busy=busy, queue_length=length, needs=tuple(needs))


def _busy(
    status: MachineStatus, gpus: int | None, slurm: SlurmRoom | None
) -> tuple[str, float]:
    """Return why a training would wait or share there, and how long the line is. Pure.

    One without a GPU is refused nowhere, as `train` refuses it nowhere: where all cores are
    busy the machine only comes after those with free ones.
    """
    waiting = sum(job.state is JobState.QUEUED for job in status.jobs)
    if slurm:
        return slurm.busy, waiting
    _, objections = train_objections.choose(status, gpus)
    gpu_busy = [each for each in objections if each.force == BUSY_GPU]
    if gpu_busy:
        return f"{_first_lines(gpu_busy[0].message)}; {waiting} jobs wait", waiting
    takes_gpus = gpus != 0 and bool(status.gpus)
    load, cores = status.load_1min, status.cpus
    if not takes_gpus and load is not None and cores and load >= cores:
        return f"its {cores} cores are busy: load {load:.1f}", load / cores
    return "", 0


def _uses(state: JobState, cwd: str, path: str) -> bool:
    return not state.ended and f"{cwd}/".startswith(f"{path}/")


def _first_lines(message: str) -> str:
    return " ".join(line.strip() for line in message.splitlines()[:3])
