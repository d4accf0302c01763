"""Output of any size, for everybody, and no silence about what is missing."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import pytest
import records
import stream_ends
from mounts import Mounts, private_mounts
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import EndKind, JobState, Sandbox
from sandbox_ops.machine import jobs

Make = Callable[..., SshServer]


def bytes_read(worker: int) -> int:
    """Return how much a worker, and what it ran and saw end, has read from anywhere."""
    return int(Path(f"/proc/{worker}/io").read_text().split()[1])


@row("its log is 2 GB long", "looking at what is new costs what is new")
def test_of_a_log_of_two_gigabytes_only_what_is_new_is_read(
    sandbox: Sandbox,
) -> None:
    large = sandbox.start("truncate -s 2G /dev/stdout; echo end; sleep 7702")
    wait_until(lambda: jobs.output(sandbox, large.id, max_bytes=9).size_bytes > 2 << 30)
    size = jobs.output(sandbox, large.id, max_bytes=9).size_bytes
    supervisor, _ = records.pids(large)
    worker = processes.table()[supervisor].parent  # the one there is: none was busy
    before = bytes_read(worker)
    assert jobs.output(sandbox, large.id, offset=size - 4).data == b"end\n"
    assert bytes_read(worker) - before < 1_000_000
    jobs.stop(sandbox, large.id, grace_s=0)


@row("its log is rotated or cut meanwhile", "the next look says so and starts over")
def test_a_log_that_was_cut_is_read_from_its_start_and_reported(
    sandbox: Sandbox,
) -> None:
    job = sandbox.start("echo a long first line; sleep 7711")
    wait_until(lambda: jobs.output(sandbox, job.id).data)
    before = jobs.output(sandbox, job.id)
    Path(job.log_path).write_bytes(b"new\n")
    after = jobs.output(sandbox, job.id, offset=before.next_offset, inode=before.inode)
    assert (after.data, after.restarted) == (b"new\n", True)
    jobs.stop(sandbox, job.id, grace_s=0)


def test_a_follower_of_a_log_that_disappears_still_learns_the_end(
    sandbox: Sandbox,
) -> None:
    go = Path(sandbox.config.workspace) / "go"
    job = sandbox.start(f"echo one; until [ -e {go} ]; do sleep 0.05; done; exit 4")
    wait_until(lambda: jobs.output(sandbox, job.id).data)
    Path(job.log_path).unlink()
    go.touch()
    ended = jobs.wait(sandbox, job.id, timeout_s=10, on_output=lambda *_: None)
    assert ended.exit_code == 4


@row(
    "it writes without end",
    "a foreground one keeps 256 MiB a stream, a background one its log_max; it runs on",
)
def test_output_beyond_the_limit_is_dropped_marked_and_the_command_goes_on(
    sandbox: Sandbox,
) -> None:
    job = sandbox.start(
        "head -c 3000000 /dev/zero; sleep 0.3; exit 6", log_max_bytes=1 << 20
    )
    ended = jobs.wait(sandbox, job.id, timeout_s=10)
    assert (ended.exit_code, ended.log_incomplete) == (6, True)
    assert Path(ended.log_path).stat().st_size == 1 << 20


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with private_mounts() as own:
        yield own


def test_who_writes_beyond_the_limit_at_once_or_late_does_not_fill_the_disk(
    mounts: Mounts, make_sshd: Make
) -> None:
    server: SshServer = mounts.do(make_sshd)
    mounts.tmpfs(server.home / ".sandbox-ops", "size=64m,mode=700")
    much = "for i in $(seq 15); do head -c 10M /dev/zero || exit 1; sleep 0.1; done; "
    with Sandbox(server.config()) as sandbox:
        for wait in ("", "sleep 0.5; "):
            job = sandbox.start(f"{wait}{much}exit 6", log_max_bytes=1 << 20)
            ended = jobs.wait(sandbox, job.id, timeout_s=30)
            assert (ended.exit_code, ended.log_incomplete) == (6, True)
            size = mounts.do(Path(ended.log_path).stat).st_size
            assert size == 1 << 20


def test_the_limit_holds_for_what_a_job_leaves_running(sandbox: Sandbox) -> None:
    late = "(sleep 0.5; head -c 3000000 /dev/zero; exec sleep 7721) &"
    job = sandbox.start(f"{late} exit 0", log_max_bytes=1 << 20)
    assert jobs.wait(sandbox, job.id, timeout_s=10).survivors > 0
    log = Path(job.log_path)
    wait_until(lambda: jobs.get(sandbox, job.id).log_incomplete)
    wait_until(lambda: log.stat().st_size == 1 << 20)
    jobs.stop(sandbox, job.id, grace_s=0)


def test_the_limit_holds_for_a_job_that_ends_at_once(sandbox: Sandbox) -> None:
    job = sandbox.start("head -c 3000000 /dev/zero", log_max_bytes=1 << 20)
    ended = jobs.wait(sandbox, job.id, timeout_s=10)
    assert ended.log_incomplete
    assert Path(ended.log_path).stat().st_size == 1 << 20


def _counters() -> dict[str, tuple[str, str]]:
    """Return where the kernel counts what it killed in our cgroup, and how it says so."""
    values = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            values["v2"] = (f"{path[1:]}/memory.events", "oom 0\noom_kill {}\n")
        elif controllers == "memory":
            file = f"memory{path}/memory.oom_control"
            values["v1"] = (file, "under_oom 0\noom_kill {}\n")
    return values


COUNTERS = _counters()


@row(
    "the kernel kills it for memory", "`failed (out of memory)`, where the kernel tells"
)
@pytest.mark.parametrize("version", COUNTERS)
@pytest.mark.parametrize("kernel_says", [True, False])
def test_out_of_memory_is_named_where_the_kernel_tells(
    mounts: Mounts, make_sshd: Make, tmp_path: Path, version: str, *, kernel_says: bool
) -> None:
    name, text = COUNTERS[version]
    counter = tmp_path / "cgroup" / name.lstrip("/")
    counter.parent.mkdir(parents=True)
    counter.write_text(text.format(3))
    mounts.bind(tmp_path / "cgroup", Path("/sys/fs/cgroup"))
    server: SshServer = mounts.do(make_sshd)
    grows = f"printf '{text.format(4)}' >{counter}; " if kernel_says else ""
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run(f"{grows}kill -9 $$")
    assert result.end is EndKind.SIGNALLED
    expected = "out of memory" if kernel_says else ""
    assert (result.job.state, result.job.reason) == (JobState.FAILED, expected)


@row("nobody follows it, or many do", "each reader has a place of its own in the log")
def test_two_followers_hear_everything(sandbox: Sandbox, sshd: SshServer) -> None:
    job = sandbox.start("seq 1 20000; sleep 0.2; seq 1 20000")
    heard: dict[int, bytes] = {0: b"", 1: b""}

    def listen(who: int) -> Callable[[str, bytes], None]:
        def take(_: str, piece: bytes) -> None:
            heard[who] += piece

        return take

    with Sandbox(sshd.config()) as other:
        jobs.wait(sandbox, job.id, timeout_s=20, on_output=listen(0))
        jobs.wait(other, job.id, timeout_s=20, on_output=listen(1))
    assert heard[0] == heard[1] == b"".join(b"%d\n" % n for n in range(1, 20001)) * 2
    assert os.path.getsize(job.log_path) == len(heard[0])  # noqa: PTH202


def test_the_ends_of_both_streams_of_a_command_are_read_byte_for_byte(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    stream_ends.check_ends(sandbox, tmp_path)


def test_what_a_command_left_running_may_write_on_while_its_output_is_read(
    sandbox: Sandbox,
) -> None:
    left = "(while :; do echo more; echo more >&2; done) & echo end; echo end >&2"
    job = sandbox.run(f"({left}); sleep 0.1").job
    assert job.survivors > 0
    for _ in range(20):
        log, stderr = jobs.ends(sandbox, job.id, log_bytes=1 << 16, stderr_bytes=99)
        assert len(log.data) <= 1 << 16
        assert len(stderr.data) <= 99
        assert set(log.data.split(b"\n")[1:-1]) <= {b"more", b"end"}
    jobs.stop(sandbox, job.id, grace_s=0)
