"""train --queue and --retries, and what the other workflows say of jobs that wait."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from each_link import ThisComputer
from gitproject import GitProject
from gpus import Gpus, give_gpus
from machines import Place, set_up
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job
from sandbox_ops.models.queue import RetryPolicy
from sandbox_ops.models.runs import Run
from sandbox_ops.workflows import waiting_times
from sandbox_ops.workflows.events import events
from sandbox_ops.workflows.monitor import monitor
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.rerun import rerun
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.runs import show
from sandbox_ops.workflows.sync import sync
from sandbox_ops.workflows.train import train

MakeMachine = Callable[..., ThisComputer]
QUEUE = QueueOptions()


@dataclasses.dataclass(frozen=True)
class GpuPlace(Place):
    """A project on a machine with one GPU."""

    gpus: Gpus

    def hold(self, progress: str = "") -> str:
        """Start a training that holds the GPU, and says this; return its id."""
        command = f"{progress}{self.gpus.hold} 20000 60"
        job = train(self.sandbox, self.project, command=command).job
        return job.id


@pytest.fixture
def place(make_machine: MakeMachine, git_project: GitProject) -> Iterator[GpuPlace]:
    server = make_machine()
    gpus = give_gpus(server.home, 1)
    with Sandbox(server.config()) as sandbox:
        there = set_up(sandbox, git_project)
        yield GpuPlace(there.sandbox, there.git, gpus)


def test_where_the_gpu_is_busy_a_training_waits_in_place_of_a_refusal(
    place: GpuPlace,
) -> None:
    holder = place.hold()
    with pytest.raises(RefusedError, match="1 GPUs are wanted, 0 are free"):
        train(place.sandbox, place.project, command="true")
    report = train(place.sandbox, place.project, command="true", queue=QUEUE)
    assert report.job.state is JobState.QUEUED
    assert report.as_json()["job"]["waits_for"].startswith("waits for a GPU")
    jobs.stop(place.sandbox, holder, grace_s=0)
    ended = jobs.wait(place.sandbox, report.job.id, timeout_s=20)
    assert (ended.state, ended.gpus) == (JobState.SUCCEEDED, (0,))


def test_what_would_wait_for_ever_is_refused(place: GpuPlace) -> None:
    with pytest.raises(RefusedError, match="the machine has 1"):
        train(place.sandbox, place.project, command="true", gpus=2, queue=QUEUE)
    after = QueueOptions(after=("remote-99",))
    with pytest.raises(NotFoundError, match="remote-99"):
        train(place.sandbox, place.project, command="true", queue=after)
    assert jobs.recent(place.sandbox) == ()


def test_retries_alone_do_not_wait_for_a_busy_gpu(place: GpuPlace) -> None:
    retry = RetryPolicy(retries=1, backoff_s=0.1, resume_from="*.pt")
    options = QueueOptions(waits=False, retry=retry)
    command = "touch {attempt}.pt; echo got {resume}; [ {attempt} = 2 ]"
    report = train(place.sandbox, place.project, command=command, queue=options)
    ended = jobs.wait(place.sandbox, report.job.id, timeout_s=20)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2)
    assert Path(ended.log_path).read_text() == "got\ngot 1.pt\n"
    holder = place.hold()
    with pytest.raises(RefusedError, match="0 are free"):
        train(place.sandbox, place.project, command="true", queue=options)
    jobs.stop(place.sandbox, holder, grace_s=0)


def test_monitor_says_who_has_the_gpu_and_about_how_long(place: GpuPlace) -> None:
    holder = place.hold("echo 'step 50/100 loss 1 eta 2:00:00'; ")
    waiting = train(place.sandbox, place.project, command="true", queue=QUEUE).job
    expected = f"waits for a GPU: {holder} has GPU 0, about "
    wait_until(lambda: "has GPU" in jobs.get(place.sandbox, waiting.id).waits_for)

    def said() -> str:
        report = monitor(place.sandbox, place.project)
        return next(v.job.waits_for for v in report.jobs if v.job.id == waiting.id)

    wait_until(lambda: said().startswith(expected), what=said())
    listed = waiting_times.look(place.sandbox, jobs.recent(place.sandbox))
    assert [job.waits_for.startswith(expected) for job in listed] == [True, False]
    jobs.stop(place.sandbox, waiting.id)
    jobs.stop(place.sandbox, holder, grace_s=0)


def test_the_record_of_a_queued_run_names_the_gpus_that_it_was_given(
    place: GpuPlace,
) -> None:
    holder = place.hold()
    job = train(place.sandbox, place.project, command="true", queue=QUEUE).job
    assert _run(place, job.id).record["gpus"] == []
    jobs.stop(place.sandbox, holder, grace_s=0)
    jobs.wait(place.sandbox, job.id, timeout_s=20)
    given = [{"index": 0, "name": "H100", "uuid": "GPU-0"}]
    run_json = Path(job.log_path).with_name("run.json")
    assert json.loads(run_json.read_text())["gpus"] == given
    assert _run(place, job.id).record["gpus"] == given
    again = rerun(place.sandbox, place.project, job.id)
    assert again.job.gpus == (0,)
    assert again.differs == ()


def _run(place: GpuPlace, job_id: str) -> Run:
    return show([place.sandbox], place.project, job_id).run


@pytest.mark.slow
def test_an_attempt_that_was_lost_is_among_the_attempts(place: GpuPlace) -> None:
    retry = RetryPolicy(retries=1, backoff_s=0.1)
    job = train(
        place.sandbox,
        place.project,
        command="echo {attempt}; [ {attempt} = 2 ] || kill -KILL $PPID $$",
        queue=QueueOptions(waits=False, retry=retry),
    ).job
    jobs.wait(place.sandbox, job.id, timeout_s=30)
    first, second = show([place.sandbox], place.project, job.id).attempts
    assert (first.job.words, first.log_from, first.log_to) == ("lost (killed)", 0, 2)
    assert (second.job.words, second.log_from, second.log_to) == ("succeeded", 2, 4)


def test_code_is_not_changed_under_a_job_that_waits(place: GpuPlace) -> None:
    holder = place.hold()
    waiting = train(place.sandbox, place.project, command="true", queue=QUEUE).job
    jobs.stop(place.sandbox, waiting.id)
    held = train(place.sandbox, place.project, command="true", queue=QUEUE).job
    place.git.commit({"new.py": "1\n"}, push=True)
    with pytest.raises(RefusedError, match=held.id):
        sync(place.sandbox, place.project)
    report = reset(place.sandbox, place.project)
    assert set(report.stopped) == {holder, held.id}
    for job in (holder, held.id, waiting.id):
        assert jobs.get(place.sandbox, job).state is JobState.STOPPED


def test_events_tell_that_a_job_waits_begins_and_ends(place: GpuPlace) -> None:
    holder = place.hold()
    seen = list(events([place.sandbox]))
    job = train(place.sandbox, place.project, command="echo ran", queue=QUEUE).job
    kinds = [(str(e.kind), e.state) for e in _news(place, seen, job.id)]
    assert kinds == [("queued", "queued")]
    assert _news(place, seen, job.id) == []  # while it waits there is nothing to tell
    jobs.stop(place.sandbox, holder, grace_s=0)
    jobs.wait(place.sandbox, job.id, timeout_s=20)
    kinds = [(str(e.kind), e.state) for e in _news(place, seen, job.id)]
    assert kinds == [("started", "succeeded"), ("ended", "succeeded")]
    stopped = train(place.sandbox, place.project, command="true", queue=QUEUE, gpus=0)
    jobs.wait(place.sandbox, stopped.job.id, timeout_s=20)


def _news(place: GpuPlace, seen: list, job_id: str) -> list:  # type: ignore[type-arg]
    """Return what is new of a job since the last event of `seen`, which grows."""
    new = list(events([place.sandbox], since=seen[-1].cursor))
    seen += new
    return [event for event in new if event.job == job_id]


def test_the_configuration_of_a_machine_says_how_many_at_once(place: GpuPlace) -> None:
    config = dataclasses.replace(
        place.sandbox.config, slots=1, gpu_share=2, min_free_mem_mib=1000
    )
    with Sandbox(config) as sandbox:

        def start(gpus: int) -> Job:
            options = {"command": "sleep 600", "gpus": gpus, "queue": QUEUE}
            return train(sandbox, place.project, **options).job  # type: ignore[arg-type]

        cpu, gpu = [start(0), start(0)], [start(1), start(1)]
        for job in (cpu[0], *gpu):
            wait_until(
                lambda: jobs.get(sandbox, job.id).state is JobState.RUNNING  # noqa: B023
            )
        why = "waits for a slot: 1 of 1 are taken"
        wait_until(lambda: jobs.get(sandbox, cpu[1].id).waits_for.startswith(why))
        for job in (cpu[1], cpu[0], *gpu):
            jobs.stop(sandbox, job.id, grace_s=0)
