"""Which of several machines goes first."""

from sandbox_ops.errors import ConnectError
from sandbox_ops.guard.reliability import Reliability
from sandbox_ops.models import Gpu, Job, JobState, MachineStatus
from sandbox_ops.workflows.candidates import BUSY_GPU, Candidate, order, verdict

FREE_GPU = Gpu(index=0, name="H100", utilization_percent=0, memory_used_mib=4)
BUSY_H100 = Gpu(index=0, name="H100", utilization_percent=97, memory_used_mib=40000)


def judged(status: MachineStatus, gpus: int | None = None, *ignored: str) -> Candidate:
    return verdict(status, None, None, gpus, is_current=True, ignored=set(ignored))


def names(*candidates: Candidate) -> list[str]:
    return [each.name for each in order(candidates)]


def test_ready_machines_come_before_those_to_set_up_and_flaky_ones_last() -> None:
    flaky = Reliability(asked=8, answered=1)
    assert names(
        Candidate(name="flaky", reliability=flaky),
        Candidate(name="new", needs=("setup",)),
        Candidate(name="down", against="no route"),
        Candidate(name="first"),
        Candidate(name="second"),
    ) == ["first", "second", "new", "flaky"]


def test_a_free_machine_comes_first_then_the_shortest_queue() -> None:
    def busy(n_waiting: int) -> Candidate:
        waiting = [
            Job(id=f"remote-{n}", state=JobState.QUEUED) for n in range(n_waiting)
        ]
        status = MachineStatus(gpus=(BUSY_H100,), jobs=tuple(waiting))
        assert "1 GPUs are wanted, 0 are free" in judged(status).against
        return judged(status, None, BUSY_GPU)

    long, short = busy(5), busy(2)
    assert (long.against, long.queue_length) == ("", 5)
    assert order([long, short]) == [short, long]
    free = judged(MachineStatus(gpus=(FREE_GPU,)), None, BUSY_GPU)
    assert order([long, short, free])[0] == free
    assert "5 jobs wait" in long.why_not


def test_without_a_gpu_a_machine_with_free_cores_comes_first_and_none_is_refused() -> (
    None
):
    loaded = judged(MachineStatus(gpus=(BUSY_H100,), load_1min=9.0, cpus=8), 0)
    worse = judged(MachineStatus(gpus=(), load_1min=32.0, cpus=8))
    free = judged(MachineStatus(gpus=(), load_1min=1.0, cpus=8))
    unknown = judged(MachineStatus(gpus=()), 0)
    assert loaded.against == worse.against == ""
    assert order([worse, loaded, free, unknown]) == [free, unknown, loaded, worse]
    assert loaded.why_not == "its 8 cores are busy: load 9.0"


def test_a_machine_that_did_not_answer_may_come_back_and_a_refused_one_does_not() -> (
    None
):
    gone = Candidate(name="a", against="no route", error=ConnectError("no route"))
    assert gone.may_come
    assert not Candidate(name="a", against="edits there").may_come
