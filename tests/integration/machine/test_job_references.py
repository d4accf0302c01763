"""Jobs and commands are counted apart, and a job is found by id, number, name or `last`."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import NotFoundError, UsageError
from sandbox_ops.machine import jobs


@pytest.fixture
def sandbox(make_sshd: Callable[..., SshServer]) -> Iterator[Sandbox]:
    """A machine where nothing was started yet."""
    with Sandbox(make_sshd().config()) as fresh:
        yield fresh


def ids(sandbox: Sandbox, **options: bool) -> list[str]:
    return [job.id for job in jobs.recent(sandbox, **options)]


def test_the_first_training_is_remote_1_whatever_ran_before(sandbox: Sandbox) -> None:
    assert [sandbox.run("true").job.id for _ in range(3)] == ["cmd-1", "cmd-2", "cmd-3"]
    assert sandbox.start("true").id == "remote-1"
    assert sandbox.run("true").job.id == "cmd-4"
    assert sandbox.start("true").id == "remote-2"


def test_jobs_lists_jobs_and_commands_only_where_they_are_asked_for(
    sandbox: Sandbox,
) -> None:
    sandbox.run("true")
    jobs.wait(sandbox, sandbox.start("true").id)
    sandbox.run("true")
    assert ids(sandbox) == ["remote-1"]
    assert set(ids(sandbox, include_commands=True)) == {"remote-1", "cmd-1", "cmd-2"}
    assert len(jobs.recent(sandbox, 2, include_commands=True)) == 2


@row(
    "a command runs, or left processes",
    "`jobs` shows it: it uses the machine as a job does",
)
def test_a_command_that_uses_the_machine_is_shown_without_asking(
    sandbox: Sandbox,
) -> None:
    call = sandbox.submit("sleep 7711")
    left = sandbox.run("nohup sleep 7712 >/dev/null 2>&1 &").job
    assert left.survivors == 1
    wait_until(lambda: call.job_id in ids(sandbox), what="the command among the jobs")
    assert set(ids(sandbox)) == {left.id, call.job_id}
    jobs.stop(sandbox, left.id, grace_s=0)
    call.cancel()
    call.future.result(20)
    assert ids(sandbox) == []


def test_a_job_is_found_by_id_number_name_and_last(sandbox: Sandbox) -> None:
    first = sandbox.start("echo one", name="hot")
    second = sandbox.start("echo two", name="an odd/name")
    third = sandbox.start("echo three", name="hot")
    sandbox.run("echo four")
    for reference, job in {
        "remote-1": first, "1": first, "an odd/name": second, "hot": third,
        "last": third, "3": third, "cmd-1": None,
    }.items():  # fmt: skip
        assert jobs.get(sandbox, reference).id == (job.id if job else "cmd-1")
    assert jobs.wait(sandbox, "hot").id == third.id
    assert jobs.output(sandbox, "last", offset=0).data == b"three\n"
    jobs.pin(sandbox, "an odd/name")
    assert (Path(second.log_path).parent / "pinned").exists()


def test_stop_by_name_stops_the_newest_of_that_name(sandbox: Sandbox) -> None:
    older = sandbox.start("sleep 7721", name="twin")
    newer = sandbox.start("sleep 7722", name="twin")
    report = jobs.stop(sandbox, "twin", grace_s=0)
    assert report.job.id == newer.id
    assert report.job.state is JobState.STOPPED
    assert jobs.get(sandbox, older.id).state is JobState.RUNNING
    jobs.stop(sandbox, older.id, grace_s=0)


def test_stop_by_name_takes_one_that_lives_and_names_the_others_that_do(
    sandbox: Sandbox,
) -> None:
    oldest = sandbox.start("sleep 7721", name="twin")
    older = sandbox.start("sleep 7722", name="twin")
    ended = sandbox.start("true", name="twin")
    jobs.wait(sandbox, ended.id, timeout_s=20)
    report = jobs.stop(sandbox, "twin", grace_s=0)
    assert (report.job.id, report.same_name) == (older.id, (oldest.id,))
    assert jobs.stop(sandbox, "twin", grace_s=0).job.id == oldest.id
    swept = jobs.stop(sandbox, "twin", grace_s=0)  # none lives: the newest of all
    assert (swept.job.id, swept.same_name) == (ended.id, ())


@pytest.mark.parametrize(
    "verb", [jobs.get, jobs.output, jobs.stop, jobs.pin, jobs.wait]
)
@pytest.mark.parametrize("reference", ["99", "remote-99", "cmd-99", "nobody", "a b"])
def test_an_unknown_job_is_shown_with_the_newest_and_their_names(
    sandbox: Sandbox, reference: str, verb: Callable[[Sandbox, str], object]
) -> None:
    sandbox.start("true", name="hot")
    with pytest.raises(NotFoundError, match=f"no job '?{reference}") as caught:
        verb(sandbox, reference)
    assert "remote-1 (hot)" in caught.value.hint


def test_where_nothing_was_started_there_is_no_last_job(sandbox: Sandbox) -> None:
    sandbox.run("true")
    with pytest.raises(NotFoundError, match="no job 'last'"):
        jobs.get(sandbox, "last")


def test_a_name_that_looks_like_an_id_is_refused_before_anything_runs(
    sandbox: Sandbox,
) -> None:
    with pytest.raises(UsageError, match="a job cannot be named '7'"):
        sandbox.start("true", name="7")
    assert ids(sandbox) == []
