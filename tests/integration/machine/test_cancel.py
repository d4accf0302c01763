"""Giving up: a command ends at once with its tree, a wait ends, nothing more is begun."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gitproject import GitProject
from processes import carrying
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import CancelledError, CancelToken, JobState, Sandbox, setup
from sandbox_ops.machine import jobs, transfer


@pytest.fixture
def sandbox(make_sshd: Callable[..., SshServer]) -> Iterator[Sandbox]:
    """A machine where nothing else runs."""
    server = make_sshd()
    with Sandbox(server.config()) as fresh:
        yield fresh


def test_a_cancelled_command_is_stopped_with_its_tree(sandbox: Sandbox) -> None:
    token = CancelToken()
    view = sandbox.cancelled_by(token)
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(view.run, "setsid sleep 7771 & sleep 7771")
        wait_until(lambda: any(job.elapsed_s for job in jobs.recent(sandbox)))
        job = jobs.recent(sandbox)[0]
        token.cancel()
        with pytest.raises(CancelledError, match=f"{job.id} was stopped"):
            running.result(20)
    assert jobs.get(sandbox, job.id).state is JobState.STOPPED
    assert not carrying(f"SANDBOX_JOB={Path(job.log_path).parent}")


def test_nothing_is_begun_after_a_cancel_and_others_work_on(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    token = CancelToken()
    view = sandbox.cancelled_by(token)
    assert view.run("echo before").ok
    token.cancel()
    before = jobs.recent(sandbox, 500, include_commands=True)
    for begin in (
        lambda: view.run("true"),
        lambda: view.submit("true"),
        lambda: view.start("true"),
        lambda: view.script("files_list", "/", "none"),
        lambda: transfer.download(view, "/etc/hostname", tmp_path / "x", size_bytes=1),
    ):
        with pytest.raises(CancelledError):
            begin()
    assert jobs.recent(sandbox, 500, include_commands=True) == before
    assert sandbox.run("echo others").ok


def test_a_cancelled_wait_ends_and_the_job_goes_on(sandbox: Sandbox) -> None:
    token = CancelToken()
    job = sandbox.start("sleep 7772")
    timer = threading.Timer(0.3, token.cancel)
    timer.start()
    with pytest.raises(CancelledError, match=f"{job.id} goes on"):
        jobs.wait(sandbox.cancelled_by(token), job.id, timeout_s=60)
    assert jobs.get(sandbox, job.id).state is JobState.RUNNING
    jobs.stop(sandbox, job.id, grace_s=0)


def test_a_cancelled_setup_stops_the_install_and_a_second_one_completes_it(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    project = git_project.project(setup=("[ -e ../go ] || sleep 7773",))
    token = CancelToken()
    with ThreadPoolExecutor(1) as thread:
        running = thread.submit(setup, sandbox, project, cancel=token)
        wait_until(
            lambda: any("sleep 7773" in job.command for job in jobs.recent(sandbox)), 30
        )
        cancelled_at = time.monotonic()
        token.cancel()
        with pytest.raises(CancelledError):
            running.result(30)
    assert time.monotonic() - cancelled_at < 20
    assert jobs.recent(sandbox) == ()
    sandbox.run("touch go", cwd=sandbox.config.workspace)
    assert setup(sandbox, project).ok
