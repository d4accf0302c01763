"""The same jobs on every POSIX shell that a machine may call /bin/sh."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import stream_ends
from mounts import Mounts, private_mounts
from slow import slow
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import EndKind, JobState, Sandbox
from sandbox_ops.errors import NotFoundError
from sandbox_ops.machine import jobs, queue
from sandbox_ops.models.queue import QueueRequest, RetryPolicy

Make = Callable[..., SshServer]


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with private_mounts() as own:
        yield own


@pytest.fixture(params=["busybox", *slow("bash")])
def other_sh(
    request: pytest.FixtureRequest, mounts: Mounts, make_sshd: Make
) -> SshServer:
    """A machine whose /bin/sh, worker's and supervisors', is another program."""
    there = Path("/bin/sh").resolve()
    mounts.bind(Path(str(shutil.which(request.param))), there)
    server = mounts.do(make_sshd)
    reported = server.ssh("readlink -f /proc/self/exe || sh --help 2>&1 | head -n 1")
    assert reported
    return server


@pytest.fixture
def only_busybox(make_sshd: Make, tmp_path: Path) -> SshServer:
    """A machine that has busybox and nothing else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    os.system(f"{shutil.which('busybox')} --install -s {folder}")  # noqa: S605
    return make_sshd(environment={"PATH": str(folder)})


def test_a_day_in_the_life_of_jobs(other_sh: SshServer) -> None:
    _a_day_in_the_life(other_sh)


def test_both_streams_of_a_command_are_read_byte_for_byte(
    other_sh: SshServer, tmp_path: Path
) -> None:
    with Sandbox(other_sh.config()) as sandbox:
        stream_ends.check_ends(sandbox, tmp_path)


def test_a_machine_that_has_only_busybox_will_do(only_busybox: SshServer) -> None:
    with Sandbox(only_busybox.config()) as sandbox:
        shown = sandbox.run("command -v grep; command -v bash").stdout.text
        assert shown.endswith("/bin/grep\n")
    _a_day_in_the_life(only_busybox)


def _a_day_in_the_life(server: SshServer) -> None:
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run("echo out; echo é >&2; exit 3", env={"A": "x'y\n"})
        assert (result.exit_code, result.stdout.text) == (3, "out\n")
        assert result.stderr.text == "é\n"
        assert sandbox.run(
            f"printf %s {'x' * 100_000} | wc -c"
        ).stdout.text.strip() == ("100000")
        assert sandbox.run("seq 1 200000", keep_bytes=2000).stdout.size_bytes == 1288895
        assert sandbox.run("kill -SEGV $$").end is EndKind.SIGNALLED
        late = sandbox.run("setsid sleep 7571 & sleep 7571", timeout_s=0.5)
        assert (late.end, late.left) == (EndKind.TIMED_OUT, ())
        _background(sandbox)
        _queue(sandbox)
        with pytest.raises(NotFoundError, match="no such directory"):
            sandbox.run("true", cwd=f"{server.home}/nowhere")


def _background(sandbox: Sandbox) -> None:
    job = sandbox.start(
        "(trap '' TERM; setsid sleep 7572) & echo up; sleep 7572",
        gpus=(1,),
        log_max_bytes=1 << 20,
    )
    wait_until(lambda: jobs.output(sandbox, job.id).data == b"up\n")
    assert jobs.status(sandbox, path="/").digests[job.id].tail == b"up\n"
    report = jobs.stop(sandbox, job.id, grace_s=0)
    assert report.job.state is JobState.STOPPED
    assert (len(report.killed) >= 3, report.left) == (True, ())
    assert jobs.recent(sandbox, 1)[0].id == job.id
    left = sandbox.run("setsid sleep 7573 >/dev/null 2>&1 &").job
    assert left.survivors == 1
    assert jobs.stop(sandbox, left.id, grace_s=0).job.state is JobState.SUCCEEDED


def _queue(sandbox: Sandbox) -> None:
    slot = QueueRequest(slots=1)
    blocker = sandbox.start("sleep 7574", queue=slot)
    wait_until(lambda: jobs.get(sandbox, blocker.id).state is JobState.RUNNING)
    retry = RetryPolicy(retries=1, backoff_s=0.1, resume_from="/tmp/nothing-*")
    first = sandbox.start("echo $SANDBOX_ATTEMPT; exit 3", queue=slot)
    second = sandbox.start(
        'echo "$SANDBOX_ATTEMPT$SANDBOX_RESUME"; exit 3',
        queue=QueueRequest(slots=1, retry=retry),
        timeout_s=60,
    )
    stopped = sandbox.start("echo never", queue=slot)
    queue.move(sandbox, second.id, "first")
    assert jobs.stop(sandbox, stopped.id).job.state is JobState.STOPPED
    jobs.stop(sandbox, blocker.id, grace_s=0)
    for job, output in ((first, b"1\n"), (second, b"1\n2\n")):
        ended = jobs.wait(sandbox, job.id, timeout_s=40)
        assert (ended.state, ended.exit_code) == (JobState.FAILED, 3)
        assert jobs.output(sandbox, job.id).data == output
