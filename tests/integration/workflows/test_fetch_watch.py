"""fetch --watch, against a real sshd: what is complete comes while a run goes on."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import Place, set_up
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import CancelToken, Sandbox
from sandbox_ops.errors import CancelledError, ConnectError, ProtocolError, RefusedError
from sandbox_ops.machine import jobs, transfer
from sandbox_ops.models import Job, Project
from sandbox_ops.workflows.fetch import FetchReport
from sandbox_ops.workflows.fetch_watch import watch
from sandbox_ops.workflows.moved_files import MovedFile
from sandbox_ops.workflows.train import train

MakeSshd = Callable[..., SshServer]
INTERVAL_S = 0.2


class Watching:
    """A watch in a thread, and what it reported."""

    def __init__(
        self, place: Place, project: Project, job: str, **options: object
    ) -> None:
        self.came: list[str] = []
        self.lost: list[ConnectError] = []
        self.token = CancelToken()

        def on_file(file: MovedFile) -> None:
            self.came.append(file.path)

        def work() -> FetchReport:
            return watch(
                place.sandbox,
                project,
                job=job,
                interval_s=INTERVAL_S,
                on_file=on_file,
                on_lost=lambda error, _: self.lost.append(error),
                cancel=self.token,
                **options,  # type: ignore[arg-type]
            )

        self._pool = ThreadPoolExecutor(1)
        self.report: Future[FetchReport] = self._pool.submit(work)

    def close(self) -> None:
        self.token.cancel()
        self._pool.shutdown()


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    git_project.commit({".gitignore": "models/\n"}, push=True)
    return set_up(sandbox, git_project)


@pytest.fixture
def project(place: Place) -> Project:
    return place.git.project(outputs=("models/",))


@contextlib.contextmanager
def running(place: Place) -> Iterator[tuple[Job, Callable[[], None]]]:
    """A job that lasts until it is told to end."""
    flag = place.clone / "end"
    command = "until [ -e end ]; do sleep 0.1; done; echo over"
    project = place.git.project(outputs=("models/",))
    job = train(place.sandbox, project, command=command).job

    def end() -> None:
        flag.write_text("")
        jobs.wait(place.sandbox, job.id, timeout_s=20)

    try:
        yield job, end
    finally:
        end()


def test_checkpoints_come_while_the_run_goes_on_and_the_rest_at_its_end(
    place: Place, project: Project
) -> None:
    home = place.git.clone
    with running(place) as (job, end):
        watching = Watching(place, project, job.id)
        place.write("models/1.pt", "first")
        wait_until(lambda: "models/1.pt" in watching.came, 20)
        assert (home / "models/1.pt").read_text() == "first"
        place.write("models/1.pt", "written over by the run")
        wait_until(lambda: watching.came.count("models/1.pt") == 2, 20)
        assert (home / "models/1.pt").read_text() == "written over by the run"
        assert not (home / "logs" / job.id / "log").exists()
        place.write("models/last.pt", "at the end")
        end()
        report = watching.report.result(30)
        watching.close()
    assert (home / "models/last.pt").read_text() == "at the end"
    assert (home / "logs" / job.id / "log").read_text() == "over\n"
    assert {f.path for f in report.files} >= {"models/1.pt", "models/last.pt"}
    assert all(file.sha256 for file in report.files)


def test_a_file_that_is_still_written_does_not_come(
    place: Place, project: Project
) -> None:
    stop = threading.Event()
    growing = place.write("models/growing.pt", "")

    def write() -> None:
        with growing.open("a") as file:
            while not stop.wait(0.05):
                file.write("x" * 1000)
                file.flush()

    writer = threading.Thread(target=write)
    with running(place) as (job, end):
        writer.start()
        watching = Watching(place, project, job.id)
        place.write("models/complete.pt", "c")
        wait_until(lambda: "models/complete.pt" in watching.came, 20)
        place.write("models/later.pt", "c")
        wait_until(lambda: "models/later.pt" in watching.came, 20)
        assert "models/growing.pt" not in watching.came
        assert not (place.git.clone / "models/growing.pt").exists()
        stop.set()
        writer.join()
        wait_until(lambda: "models/growing.pt" in watching.came, 20)
        end()
        watching.report.result(30)
        watching.close()
    assert (place.git.clone / "models/growing.pt").read_bytes() == growing.read_bytes()


def test_a_file_that_was_written_since_it_was_listed_is_not_put_in_place(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    remote, local = tmp_path / "remote", tmp_path / "home"
    remote.write_bytes(b"x" * 1000)
    os.utime(remote, (1_000_000, 1_000_000))
    with pytest.raises(ProtocolError, match="it is still written"):
        transfer.download(
            shared_sandbox, str(remote), local, size_bytes=1000, complete_since=999_999
        )
    assert not local.exists()
    transfer.download(
        shared_sandbox, str(remote), local, size_bytes=1000, complete_since=1_000_000
    )
    assert local.read_bytes() == b"x" * 1000


def test_a_file_here_that_was_not_brought_is_never_replaced(
    place: Place, project: Project
) -> None:
    place.git.write({"models/1.pt": "mine"})
    with running(place) as (job, _):
        place.write("models/1.pt", "theirs")
        watching = Watching(place, project, job.id)
        with pytest.raises(RefusedError, match=r"models/1\.pt"):
            watching.report.result(30)
        watching.close()
    assert (place.git.clone / "models/1.pt").read_text() == "mine"


@pytest.mark.slow
def test_a_lost_link_is_waited_for(
    make_sshd: MakeSshd, git_project: GitProject
) -> None:
    git_project.commit({".gitignore": "models/\n"}, push=True)
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        place = set_up(sandbox, git_project)
        project = git_project.project(outputs=("models/",))
        with running(place) as (job, end):
            watching = Watching(place, project, job.id)
            place.write("models/1.pt", "1")
            wait_until(lambda: "models/1.pt" in watching.came, 20)
            server.stop()
            place.write("models/2.pt", "2")
            wait_until(lambda: watching.lost, 60)
            server.start(busy=True)
            wait_until(lambda: "models/2.pt" in watching.came, 60)
            end()
            watching.report.result(30)
            watching.close()


def test_a_cancel_ends_it_and_what_came_stays(place: Place, project: Project) -> None:
    with running(place) as (job, _):
        watching = Watching(place, project, job.id)
        place.write("models/1.pt", "1")
        wait_until(lambda: "models/1.pt" in watching.came, 20)
        watching.token.cancel()
        with pytest.raises(CancelledError):
            watching.report.result(20)
        watching.close()
    assert (place.git.clone / "models/1.pt").exists()


def test_without_a_job_it_ends_when_nothing_runs_in_the_project(
    place: Place, project: Project
) -> None:
    place.write("models/1.pt", "1")
    report = watch(place.sandbox, project, interval_s=INTERVAL_S)
    assert [file.path for file in report.files] == ["models/1.pt"]
