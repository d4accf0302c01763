"""Events of real jobs: told as they happen, through dead links and restarts."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import processes
import pytest
from containers import start_container
from network import black_hole, private_network, restore_network
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.machine import changes, jobs
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.models.events import Event
from sandbox_ops.models.queue import QueueRequest
from sandbox_ops.workflows.events import events

Make = Callable[..., SshServer]
FOR_EVER = "sleep 7421"


@pytest.fixture
def network() -> Iterator[None]:
    with private_network():
        yield


class Told:
    """What is told, in a thread of its own, until the end of a `with`."""

    def __init__(self, *sandboxes: Sandbox, since: str = "") -> None:
        self.events: list[Event] = []
        self._idle = threading.Event()
        self._cancel = CancelToken()
        self._told = events(
            sandboxes, since=since, follow=True, cancel=self._cancel, look_s=0.2
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def _listen(self) -> None:
        self.events.extend(iter(self._told))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._cancel.cancel()
        self._thread.join(5)
        assert not self._thread.is_alive()

    def lines(self, job_id: str | None) -> list[str]:
        return [str(each.kind) for each in tuple(self.events) if each.job == job_id]

    def wait_for(self, job_id: str | None, *kinds: str, timeout_s: float = 20) -> Event:
        wait_until(
            lambda: self.lines(job_id) == list(kinds),
            timeout_s,
            what=f"{kinds} of {job_id}: {self.events}",
        )
        return [each for each in self.events if each.job == job_id][-1]


@pytest.fixture
def mine(make_sshd: Make) -> Iterator[Sandbox]:
    with Sandbox(make_sshd().config()) as sandbox:
        yield sandbox


def listening(reported: Told, sandbox: Sandbox) -> None:
    """Wait until a probe is told: from then on everything is."""
    probes = []

    def heard() -> bool:
        probes.append(sandbox.start("true").id)
        ids = {each.job for each in tuple(reported.events)}
        return bool(ids & set(probes))

    wait_until(heard, 20, every_s=0.3)


def test_events_report_that_a_job_starts_goes_wrong_and_ends(
    mine: Sandbox, tmp_path: Path
) -> None:
    go, end = tmp_path / "go", tmp_path / "end"
    with Told(mine) as reported:
        listening(reported, mine)
        job = mine.start(
            f"echo step 1 loss 0.5; until [ -e {go} ]; do sleep 0.05; done;"
            f"echo step 2 loss nan; until [ -e {end} ]; do sleep 0.05; done; exit 3",
            name="night",
        )
        reported.wait_for(job.id, "started")
        go.touch()
        warning = reported.wait_for(job.id, "started", "warning")
        assert (warning.message, warning.state) == ("loss is nan", "running")
        end.touch()
        ended = reported.wait_for(job.id, "started", "warning", "ended")
        assert (ended.name, ended.state, ended.exit_code) == ("night", "failed", 3)
        assert ended.message.startswith("failed (exit code 3) after ")


def test_events_from_now_on_leave_out_what_was_before(mine: Sandbox) -> None:
    old = mine.start("true")
    jobs.wait(mine, old.id, timeout_s=30)
    runs = mine.start(f"echo step 1 loss 0.5; echo step 2 loss nan; {FOR_EVER}")
    wait_until(lambda: b"nan" in jobs.output(mine, runs.id).data)
    with Told(mine) as reported:
        listening(reported, mine)
        reported.wait_for(runs.id, "warning")
        assert reported.lines(old.id) == []
    jobs.stop(mine, runs.id, grace_s=0)


def test_without_a_cursor_all_that_is_on_record_is_reported_and_then_what_is_new(
    mine: Sandbox,
) -> None:
    first = mine.start("true")
    jobs.wait(mine, first.id, timeout_s=30)
    reports = list(events([mine]))
    assert [(e.kind, e.job) for e in reports] == [
        ("started", first.id),
        ("ended", first.id),
    ]
    assert list(events([mine], since=reports[-1].cursor)) == []
    second = mine.start(FOR_EVER)
    after = list(events([mine], since=reports[-1].cursor))
    assert [(e.kind, e.job) for e in after] == [("started", second.id)]
    jobs.stop(mine, second.id, grace_s=0)
    last = list(events([mine], since=after[-1].cursor))
    assert [(e.kind, e.job, e.state) for e in last] == [("ended", second.id, "stopped")]
    again = list(events([mine], since=reports[0].cursor))
    assert [(e.kind, e.job) for e in again][:2] == [
        ("ended", first.id),
        ("started", second.id),
    ]


def test_a_job_that_was_stopped_while_it_waited_was_queued_and_never_started(
    mine: Sandbox,
) -> None:
    first = mine.start(FOR_EVER, queue=QueueRequest(slots=1))
    waits = mine.start("true", queue=QueueRequest(slots=1))
    jobs.stop(mine, waits.id)
    ended = jobs.get(mine, waits.id)
    jobs.stop(mine, first.id, grace_s=0)
    assert (ended.started_at, ended.elapsed_s) == (None, None)
    reports = [each for each in events([mine]) if each.job == waits.id]
    assert [(e.kind, e.at) for e in reports] == [
        ("queued", ended.queued_at),
        ("ended", ended.ended_at),
    ]


def test_a_lost_job_ended_with_its_last_sign_of_life_whenever_that_is_noticed(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        job = sandbox.start(FOR_EVER)
        folder = Path(job.log_path).parent
        wait_until(lambda: b"running" in (folder / "state").read_bytes())
        words = dict(
            word.split("=", 1)
            for word in (folder / "state").read_text().split()
            if "=" in word
        )
        for who in ("pid", "leader"):
            os.kill(int(words[who]), signal.SIGKILL)
        wait_until(lambda: jobs.get(sandbox, job.id).state == "lost")
        for name in ("state", "log", "probe"):
            if (folder / name).exists():
                os.utime(folder / name, (1e9, 1e9))
        last = list(events([sandbox]))[-1]
        assert (last.kind, last.state, last.at) == ("ended", "lost", 1e9)


def test_more_jobs_than_one_answer_holds_are_all_reported(mine: Sandbox) -> None:
    ids = [mine.start("true").id for _ in range(130)]
    for job_id in ids[-3:]:
        jobs.wait(mine, job_id, timeout_s=30)
    reports = list(events([mine]))
    assert [e.job for e in reports if e.kind == "started"] == ids


def test_what_did_not_write_is_not_read_again(mine: Sandbox) -> None:
    job = mine.start(f"echo step 1 loss 0.5; {FOR_EVER}")
    wait_until(lambda: jobs.output(mine, job.id).data)
    first = changes.look(mine, 0, {})
    assert first.jobs[1].digest is not None
    size = first.jobs[1].written_bytes
    again = changes.look(mine, first.upto, {1: size})
    assert again.jobs[1].digest is None
    assert again.jobs[1].job.name == job.name
    jobs.stop(mine, job.id, grace_s=0)


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_dead_link_is_reported_once_and_what_happened_meanwhile_when_it_is_back(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox, Told(sandbox) as reported:
        listening(reported, sandbox)
        go = tmp_path / "go"
        job = sandbox.start(f"until [ -e {go} ]; do sleep 0.05; done")
        reported.wait_for(job.id, "started")
        black_hole(server.port)
        lost = reported.wait_for(None, "unreachable", timeout_s=45)
        assert lost.message
        go.touch()
        restore_network()
        reported.wait_for(None, "unreachable", "reachable", timeout_s=40)
        assert reported.wait_for(job.id, "started", "ended").state == "succeeded"


def test_killed_sessions_are_no_news(make_sshd: Make, tmp_path: Path) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox, Told(sandbox) as reported:
        listening(reported, sandbox)
        go = tmp_path / "go"
        job = sandbox.start(f"until [ -e {go} ]; do sleep 0.05; done")
        reported.wait_for(job.id, "started")
        for _ in range(3):
            wait_until(server.session_pids)
            processes.end(server.session_pids(), grace_s=0)
        go.touch()
        reported.wait_for(job.id, "started", "ended")
        assert reported.lines(None) == []


def test_a_machine_that_never_answers_holds_up_no_other(
    mine: Sandbox, make_sshd: Make
) -> None:
    gone = make_sshd()
    config = gone.config(name="gone")
    gone.stop()
    with Sandbox(config) as dead, Told(dead, mine) as reported:
        listening(reported, mine)
        reported.wait_for(None, "unreachable")
        assert reported.events[-1].cursor


def test_a_machine_that_restarts_ends_its_jobs(tmp_path: Path) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("0f0f\n")
    with (
        start_container(tmp_path / "server", boot_id) as server,
        Sandbox(server.config()) as sandbox,
        Told(sandbox) as reported,
    ):
        listening(reported, sandbox)
        job = sandbox.start(FOR_EVER)
        reported.wait_for(job.id, "started")
        server.stop()
        boot_id.write_text("f0f0\n")
        server.start(busy=True)
        ended = reported.wait_for(job.id, "started", "ended", timeout_s=50)
        assert ended.message.startswith("lost (reboot)")
