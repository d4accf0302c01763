"""Background jobs: they belong to the machine, and everybody sees the same."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import records
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError, TimedOutError, UsageError
from sandbox_ops.machine import jobs


def test_a_job_is_started_listed_and_ends_with_its_exit_code(sandbox: Sandbox) -> None:
    job = sandbox.start("echo hello; exit 4", name="short", description="a test")
    ended = jobs.wait(sandbox, job.id, timeout_s=10)
    assert (ended.state, ended.exit_code, ended.name) == (JobState.FAILED, 4, "short")
    assert jobs.recent(sandbox, 1)[0] == ended
    assert Path(ended.log_path).read_bytes() == b"hello\n"


@row(
    "the client is closed or killed",
    "it runs on; any other client sees all of it by its id",
)
def test_a_job_outlives_the_client_that_started_it(
    sshd: SshServer,
) -> None:
    config = sshd.config()
    program = f"""
import sys
from sandbox_ops import Sandbox, SandboxConfig
sandbox = Sandbox({config!r})
job = sandbox.start("for i in 1 2 3 4 5 6; do echo step $i; sleep 0.2; done; exit 7")
print(job.id, flush=True)
sys.stdin.read()
"""
    client = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert client.stdout
    job_id = client.stdout.readline().strip()
    client.send_signal(signal.SIGKILL)
    client.wait(10)
    client.stdout.close()
    assert client.stdin
    client.stdin.close()
    with Sandbox(config) as another:
        ended = jobs.wait(another, job_id, timeout_s=20)
        assert (ended.state, ended.exit_code) == (JobState.FAILED, 7)
        assert jobs.output(another, job_id).data == b"".join(
            b"step %d\n" % n for n in range(1, 7)
        )


def test_reading_from_a_cursor_gives_only_what_is_new(sandbox: Sandbox) -> None:
    job = sandbox.start("echo one; sleep 7121")
    wait_until(lambda: jobs.output(sandbox, job.id).data)
    first = jobs.output(sandbox, job.id, offset=0)
    with Path(job.log_path).open("ab") as log:
        log.write(b"two\n")
    second = jobs.output(sandbox, job.id, offset=first.next_offset, inode=first.inode)
    assert (first.data, second.data, second.restarted) == (b"one\n", b"two\n", False)
    jobs.stop(sandbox, job.id, grace_s=0)


def test_a_log_that_was_rotated_is_read_from_its_start_and_reported(
    sandbox: Sandbox,
) -> None:
    job = sandbox.start("echo first; sleep 0.1")
    jobs.wait(sandbox, job.id, timeout_s=10)
    before = jobs.output(sandbox, job.id)
    log = Path(job.log_path)
    log.rename(log.with_suffix(".1"))
    log.write_bytes(b"new\n")
    after = jobs.output(sandbox, job.id, offset=before.next_offset, inode=before.inode)
    assert (after.data, after.restarted) == (b"new\n", True)
    log.unlink()
    with pytest.raises(NotFoundError, match="gone"):
        jobs.output(sandbox, job.id)


def test_stop_lets_a_training_save_and_reports_what_it_ended(sandbox: Sandbox) -> None:
    job = sandbox.start(
        "trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    )
    wait_until(lambda: jobs.output(sandbox, job.id).data == b"up\n")
    report = jobs.stop(sandbox, job.id, grace_s=5)
    assert report.job.state is JobState.STOPPED
    assert jobs.output(sandbox, job.id).data.endswith(b"saved\n")
    assert any(line.endswith(" bash") for line in report.killed)
    assert report.left == ()


def test_stop_ends_workers_in_sessions_of_their_own_and_nothing_else(
    sandbox: Sandbox, sshd: SshServer
) -> None:
    stranger = sandbox.start("sleep 7131")
    job = sandbox.start(
        "for i in 1 2; do setsid bash -c 'trap \"\" TERM; sleep 7131' & done; sleep 7131"
    )
    wait_until(
        lambda: sum("sleep 7131" in line for line in sshd.leftovers().values()) >= 4
    )
    report = jobs.stop(sandbox, job.id, grace_s=1)
    assert len(report.killed) >= 4
    assert jobs.get(sandbox, stranger.id).state is JobState.RUNNING
    jobs.stop(sandbox, stranger.id, grace_s=0)
    assert [line for line in sshd.leftovers().values() if "sleep 7131" in line] == []


@row(
    "it has ended",
    "that never changes, whatever is done to it",
)
def test_a_terminal_state_never_changes(sandbox: Sandbox) -> None:
    job = sandbox.start("exit 3")
    ended = jobs.wait(sandbox, job.id, timeout_s=10)
    assert jobs.stop(sandbox, job.id).job == ended
    assert jobs.get(sandbox, job.id) == ended


@row(
    "its time is up with nobody connected",
    "its whole tree is ended, it is `timed-out`",
)
def test_the_deadline_holds_with_nobody_connected(sshd: SshServer) -> None:
    config = sshd.config()
    with Sandbox(config) as sandbox:
        job = sandbox.start("echo up; sleep 7141", timeout_s=0.5)
    wait_until(lambda: not any("7141" in line for line in sshd.leftovers().values()))
    with Sandbox(config) as sandbox:
        assert jobs.wait(sandbox, job.id, timeout_s=10).state is JobState.TIMED_OUT


THE_SAME = "0123456789abcdef"


@row(
    "the answer to its start is lost and it is sent again",
    "it is the same job, with the same id",
)
def test_one_token_is_one_job_however_often_it_is_sent(sandbox: Sandbox) -> None:
    first = sandbox.start("sleep 7151", token=THE_SAME)
    again = sandbox.start("sleep 7151", token=THE_SAME)
    assert again.id == first.id
    assert [job.command for job in jobs.recent(sandbox)].count("sleep 7151") == 1
    jobs.stop(sandbox, first.id, grace_s=0)


def test_of_one_name_only_one_job_lives(sandbox: Sandbox) -> None:
    first = sandbox.start("sleep 7161", name="only", unique_name=True)
    with pytest.raises(RefusedError, match=first.id):
        sandbox.start("sleep 7161", name="only", unique_name=True)
    jobs.stop(sandbox, first.id, grace_s=0)
    second = sandbox.start("true", name="only", unique_name=True)
    assert jobs.wait(sandbox, second.id, timeout_s=10).state is JobState.SUCCEEDED


@pytest.mark.parametrize("name", ["a b", "../x", "*", "-x"])
def test_a_unique_name_that_is_no_name_is_refused(sandbox: Sandbox, name: str) -> None:
    with pytest.raises(UsageError, match="unique name"):
        sandbox.start("true", name=name, unique_name=True)


@row(
    "another wants its GPU",
    "that start is refused, and says which job has it",
)
def test_a_claimed_gpu_is_passed_to_the_job_and_refused_to_another(
    sandbox: Sandbox,
) -> None:
    first = sandbox.start("echo $CUDA_VISIBLE_DEVICES; sleep 7171", gpus=(1, 3))
    with pytest.raises(RefusedError, match=f"GPU 3 is held by {first.id}"):
        sandbox.start("true", gpus=(3,))
    wait_until(lambda: jobs.output(sandbox, first.id).data == b"1,3\n")
    jobs.stop(sandbox, first.id, grace_s=0)


def test_fifty_starts_at_once_are_fifty_jobs(sshd: SshServer) -> None:
    machines = [Sandbox(sshd.config()) for _ in range(4)]
    calls = [machines[n % 4].submit(f"echo {n}") for n in range(50)]
    results = [call.future.result(60) for call in calls]
    for machine in machines:
        machine.close()
    assert len({result.job.id for result in results}) == 50
    assert [result.stdout.text for result in results] == [f"{n}\n" for n in range(50)]


def test_a_killed_leader_is_failed_and_a_killed_supervisor_is_lost(
    sandbox: Sandbox, sshd: SshServer
) -> None:
    first = sandbox.start("kill -9 $$")
    ended = jobs.wait(sandbox, first.id, timeout_s=10)
    assert (ended.state, ended.signal) == (JobState.FAILED, "KILL")
    second = sandbox.start("sleep 7181")
    wait_until(lambda: any("sleep 7181" in line for line in sshd.leftovers().values()))
    os.kill(records.pids(second)[0], 9)
    wait_until(lambda: jobs.get(sandbox, second.id).reason)
    orphan = jobs.get(sandbox, second.id)
    assert (orphan.state, orphan.reason) == (JobState.RUNNING, "unsupervised")
    report = jobs.stop(sandbox, second.id, grace_s=1)
    assert report.job.state is JobState.STOPPED


@row(
    "the machine restarts",
    "`lost (reboot)`, never `running`; the process that has its pid now is not touched",
)
def test_after_a_reboot_a_running_job_is_lost_and_nothing_is_killed(
    sandbox: Sandbox,
) -> None:
    job = sandbox.start("sleep 7191")
    state = Path(job.log_path).with_name("state")
    true_line = state.read_text()
    boot = true_line.split("machine=")[1].split(".")[0]
    state.write_text(true_line.replace(boot, "0" * len(boot)))
    lost = jobs.get(sandbox, job.id)
    assert (lost.state, lost.reason, lost.exit_code) == (JobState.LOST, "reboot", None)
    state.write_text(true_line)
    assert jobs.get(sandbox, job.id).state is JobState.RUNNING
    jobs.stop(sandbox, job.id, grace_s=0)


def test_an_unknown_or_malformed_id_lists_the_known(
    sandbox: Sandbox,
) -> None:
    newest = sandbox.start("true").id
    with pytest.raises(NotFoundError) as caught:
        jobs.get(sandbox, "remote-99999")
    assert newest in caught.value.hint
    with pytest.raises(NotFoundError, match=r"no job '\.\./\.\./etc'") as caught:
        jobs.get(sandbox, "../../etc")
    assert newest in caught.value.hint


def test_waiting_has_an_end_and_the_job_goes_on(sandbox: Sandbox) -> None:
    job = sandbox.start("sleep 7201")
    with pytest.raises(TimedOutError, match=r"has not ended within 0\.3 s"):
        jobs.wait(sandbox, job.id, timeout_s=0.3)
    assert jobs.get(sandbox, job.id).state is JobState.RUNNING
    jobs.stop(sandbox, job.id, grace_s=0)


def test_ids_are_not_reused_after_pruning(make_sshd: Callable[..., SshServer]) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        first = sandbox.run("true").job
        base = Path(first.log_path).parents[2]
        (base / "last-cmd").write_text("399\n")
        four_hundred = sandbox.run("echo kept").job
        assert four_hundred.id == "cmd-400"
        wait_until(lambda: not Path(first.log_path).exists(), what="the pruner")
        assert Path(four_hundred.log_path).exists()
        assert sandbox.run("true").job.id == "cmd-401"


def test_one_look_has_jobs_tails_disk_and_load(sandbox: Sandbox) -> None:
    job = sandbox.start("echo step 1/2 loss 0.5; sleep 7211")
    wait_until(lambda: jobs.output(sandbox, job.id).data)
    status = jobs.status(sandbox, path=sandbox.config.workspace)
    assert status.jobs[0].id == job.id
    assert status.digests[job.id].tail == b"step 1/2 loss 0.5\n"
    assert status.disk is not None
    assert status.disk.free_bytes > 0
    assert status.cpus == os.cpu_count()
    jobs.stop(sandbox, job.id, grace_s=0)


def test_files_of_a_job_lie_in_its_folder_for_nobody_else(sandbox: Sandbox) -> None:
    job = sandbox.start(
        "true", files={"run.json": '{"commit": "é"}'}, env={"TOKEN": "s3cret"}
    )
    folder = Path(job.log_path).parent
    assert (folder / "run.json").read_text("utf-8") == '{"commit": "é"}'
    assert folder.stat().st_mode & 0o077 == 0
    jobs.wait(sandbox, job.id, timeout_s=10)
    assert not (folder / "env").exists()  # read, and gone
