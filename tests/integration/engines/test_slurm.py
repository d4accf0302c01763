"""A sandbox whose jobs Slurm starts: a real slurmctld, and nodes that are machines of their own.

The login node is this machine, with a home of the test's own that the nodes see, too.
"""

import os
import sys
import time
from pathlib import Path

import pytest
from slurm import OpenSandbox, SlurmCluster
from slurm_jobs import (
    FILL,
    SOON_S,
    fake,
    log_of,
    number_of,
    started,
    wait_for,
)
from waiting import wait_until

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import RefusedError
from sandbox_ops.machine import jobs
from sandbox_ops.models.queue import QueueRequest, RetryPolicy


def test_a_job_runs_on_a_node_and_its_log_and_exit_code_are_those_of_its_command(
    login: Sandbox,
) -> None:
    job = login.start(
        'echo "on $(hostname), $WORD"; echo oops >&2; exit 3',
        name="first",
        env={"WORD": "a secret's place"},
    )
    assert job.state is JobState.QUEUED
    ended = jobs.wait(login, "first", timeout_s=SOON_S)
    assert (ended.state, ended.exit_code) == (JobState.FAILED, 3)
    text = log_of(login, job)
    assert text.startswith("on node")
    assert text.endswith(", a secret's place\noops\n")


def test_commands_and_our_own_steps_run_on_the_login_node(login: Sandbox) -> None:
    result = login.run("hostname; echo ${SLURM_JOB_ID-none}")
    assert result.stdout.text == f"{os.uname().nodename}\nnone\n"


def test_a_value_of_the_environment_is_nowhere_in_what_slurm_is_told(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    job = started(login, "echo begun; sleep 7801", env={"TOKEN": "s3cret-value"})
    number = number_of(job)
    assert "s3cret-value" not in cluster.ask("scontrol", "show", "job", number)
    script = cluster.folder / "script"
    cluster.ask("scontrol", "write", "batch_script", number, str(script))
    assert "s3cret-value" not in script.read_text()


def test_a_job_that_waits_says_why_and_where_it_stands(
    login: Sandbox,
) -> None:
    for index in range(3):
        started(
            login,
            "echo begun; sleep 7811",
            name=f"fill-{index}",
            queue=FILL,
            timeout_s=3600,
        )
    first = login.start("true", name="next", queue=FILL)
    second = login.start("true", name="later", queue=FILL)
    wait_until(
        lambda: "no node has room" in jobs.get(login, first.id).waits_for, SOON_S
    )
    waits = jobs.get(login, first.id)
    assert waits.words.startswith(
        "queued (waits in Slurm: no node has room for it yet (Resources)"
    )
    places = {job.id: job.place for job in jobs.recent(login, 10)}
    assert (places[first.id], places[second.id]) == (1, 2)
    assert wait_until(
        lambda: "expected to start 20" in jobs.get(login, first.id).waits_for, SOON_S
    )


def test_a_job_that_waits_says_its_place_among_the_jobs_of_all(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    """Jobs that are no sandbox's come first, and those that could not begin now do not count."""
    cluster.ask(
        "sbatch", "--exclusive", "-N3", "-o", "/dev/null", "--wrap", "sleep 600"
    )
    wait_until(lambda: "R" in cluster.ask("squeue", "-h", "-o", "%t"), SOON_S)
    for more in (("--uid=nobody", "--chdir=/"), ("--hold",), ("--begin=now+600",)):
        cluster.ask("sbatch", *more, "-o", "/dev/null", "--wrap", "true")
    wait_until(
        lambda: (
            set(cluster.ask("squeue", "-h", "-t", "PD", "-o", "%r").split())
            == {"Resources", "JobHeldUser", "BeginTime"}
        ),
        SOON_S,
    )
    job = login.start("true", name="next", queue=FILL)
    wait_until(
        lambda: "place 2 of 2 in partition main" in jobs.get(login, job.id).waits_for,
        SOON_S,
    )


def test_what_a_login_sets_for_squeue_hides_no_job(
    log_in: OpenSandbox, home: Path
) -> None:
    with (home / ".profile").open("a") as profile:
        profile.write(
            "export SQUEUE_PARTITION=urgent SQUEUE_STATES=RUNNING SLURM_TIME_FORMAT=relative\n"
        )
    job = log_in(slurm_extra=("--hold",)).start("true")
    wait_until(lambda: "held" in jobs.get(log_in(), job.id).words, SOON_S)


def test_what_slurm_refuses_is_refused_in_its_words_and_leaves_nothing(
    log_in: OpenSandbox, home: Path
) -> None:
    sandbox = log_in(slurm_partition="nowhere")
    with pytest.raises(RefusedError, match="invalid partition specified: nowhere"):
        sandbox.start("true", name="bad", unique_name=True)
    assert jobs.recent(sandbox, 5) == ()
    base = home / ".sandbox-ops/v1/home"
    left = [
        each.name
        for name in ("jobs", "claims", "names", "live")
        for each in (base / name).iterdir()
    ]
    assert left == []
    good = log_in().start("true", name="bad", unique_name=True)
    assert jobs.wait(sandbox, good.id, timeout_s=SOON_S).state is JobState.SUCCEEDED


def test_a_stop_ends_the_whole_tree_and_names_what_it_ended(login: Sandbox) -> None:
    job = started(
        login,
        "trap 'echo asked; exit 0' TERM; setsid sleep 7821 & echo begun; sleep 7822 & wait",
    )
    report = jobs.stop(login, job.id, grace_s=5)
    assert (report.job.state, report.left) == (JobState.STOPPED, ())
    names = [line.split()[1] for line in report.killed]
    assert sorted(names) == ["bash", "sleep", "sleep"]
    assert "asked\n" in log_of(login, job)


def test_a_stop_kills_what_ignores_it_after_the_grace(login: Sandbox) -> None:
    job = started(login, "trap '' TERM; echo begun; while :; do sleep 1; done")
    report = jobs.stop(login, job.id, grace_s=1)
    assert (report.job.state, report.left) == (JobState.STOPPED, ())


def test_a_stop_takes_a_waiting_job_out_of_slurms_queue(
    login: Sandbox, cluster: SlurmCluster, log_in: OpenSandbox
) -> None:
    later = log_in(slurm_extra=("--hold",))
    held = later.start("echo never", name="held")
    assert cluster.ask("squeue", "-h", "-o", "%i").split() == [number_of(held)]
    report = jobs.stop(login, held.id, grace_s=1)
    assert report.job.words == "stopped"
    assert log_of(login, held) == ""


def test_the_deadline_ends_a_job_and_says_so(login: Sandbox) -> None:
    job = login.start("echo begun; sleep 7831", timeout_s=1)
    ended = wait_for(login, job, JobState.TIMED_OUT)
    assert ended.outcome_code == 124


def test_usr1_ahead_of_the_limit_reaches_only_who_listens_for_it(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    listening = (
        "import signal, sys\n"
        "def near(*_): print('near the limit', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGUSR1, near)\n"
        "print('begun', flush=True)\n"
        "signal.pause(); signal.pause()\n"
    )
    job = started(login, f'python3 -c "{listening}"; echo "saved $?"')
    cluster.ask("scancel", "--batch", "--signal=USR1", number_of(job))
    ended = jobs.wait(login, job.id, timeout_s=SOON_S)
    assert ended.state is JobState.SUCCEEDED
    assert log_of(login, job) == "begun\nnear the limit\nsaved 0\n"


_UV = """\
#!{python}
import signal, subprocess, sys
child = subprocess.Popen(sys.argv[1:])
signal.signal(signal.SIGUSR1, lambda *_: child.send_signal(signal.SIGUSR1))
sys.exit(child.wait() != 0)
"""


def test_usr1_ends_no_training_that_does_not_know_it(
    login: Sandbox, cluster: SlurmCluster, tmp_path: Path
) -> None:
    """`uv run` hands it on, as uv 0.13 does; bash with a trap for its exit catches and dies of it."""
    uv = tmp_path / "uv"
    uv.write_text(_UV.format(python=sys.executable))
    uv.chmod(0o755)
    plain = "echo begun; sleep 2; echo lived"
    trapping = f"trap 'echo bye' EXIT; {plain}"
    for command in (plain, trapping, f"{uv} sh -c '{plain}'"):
        job = started(login, command)
        cluster.ask("scancel", "--batch", "--signal=USR1", number_of(job))
        ended = jobs.wait(login, job.id, timeout_s=SOON_S)
        assert ended.state is JobState.SUCCEEDED, (command, ended)


def test_usr1_reaches_a_script_of_bash_that_traps_it_and_its_exit(
    login: Sandbox, cluster: SlurmCluster, tmp_path: Path
) -> None:
    script = tmp_path / "job.sh"
    script.write_text(
        "trap 'echo near; touch stop' USR1\ntrap 'echo bye' EXIT\n"
        "echo begun\nuntil [ -e stop ]; do sleep 0.2; done\n"
    )
    job = started(login, f"bash {script}", cwd=str(tmp_path))
    cluster.ask("scancel", "--batch", "--signal=USR1", number_of(job))
    ended = jobs.wait(login, job.id, timeout_s=SOON_S)
    assert ended.state is JobState.SUCCEEDED
    assert log_of(login, job) == "begun\nnear\nbye\n"


def test_a_running_job_that_somebody_cancels_in_slurm_is_stopped(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    job = started(login, "echo begun; sleep 7841")
    cluster.ask("scancel", number_of(job))
    ended = wait_for(login, job, JobState.STOPPED)
    assert ended.words == "stopped (cancelled in Slurm)"
    assert "CANCELLED AT" in log_of(login, job)


def test_a_waiting_job_that_somebody_cancels_in_slurm_is_stopped(
    cluster: SlurmCluster, log_in: OpenSandbox
) -> None:
    later = log_in(slurm_extra=("--begin=now+600",))
    job = later.start("true")
    wait_until(lambda: "not before its time" in jobs.get(later, job.id).words, SOON_S)
    cluster.ask("scancel", number_of(job))
    assert (
        wait_for(later, job, JobState.STOPPED).words == "stopped (cancelled in Slurm)"
    )


def test_a_preempted_job_that_may_be_tried_again_waits_for_its_next_attempt(
    login: Sandbox, log_in: OpenSandbox
) -> None:
    retried = QueueRequest(gpus=2, retry=RetryPolicy(retries=1))
    for index in range(3):
        started(login, "echo begun; sleep 7855", name=f"low-{index}", queue=retried)
    log_in(slurm_partition="urgent").start("sleep 7856", queue=FILL)
    waiting = wait_until(
        lambda: [
            each
            for each in jobs.recent(login, 10)
            if each.state is JobState.QUEUED and each.attempt == 2
        ],
        SOON_S,
    )
    assert [each.name.startswith("low") for each in waiting] == [True]


def test_a_preempted_job_that_has_no_retries_is_lost(
    login: Sandbox, log_in: OpenSandbox
) -> None:
    for index in range(2):
        started(login, "echo begun; sleep 7851", name=f"full-{index}", queue=FILL)
    started(login, "echo begun; sleep 7852", name="low", queue=FILL)
    urgent = log_in(slurm_partition="urgent")
    jobs_before = [job.id for job in jobs.recent(login, 10)]
    urgent.start("sleep 7853", name="high", queue=FILL)
    lost = wait_until(
        lambda: [
            each
            for each in jobs.recent(login, 10)
            if each.id in jobs_before and each.state is JobState.LOST
        ],
        SOON_S,
    )
    assert [each.words for each in lost] == ["lost (preempted in Slurm)"]
    assert "DUE TO PREEMPTION" in log_of(login, lost[0])


def test_a_requeued_job_is_the_same_job_with_another_attempt_and_its_checkpoint(
    login: Sandbox, cluster: SlurmCluster, tmp_path: Path
) -> None:
    policy = RetryPolicy(retries=2, resume_from="ckpt-*", backoff_s=0)
    job = started(
        login,
        'echo "attempt $SANDBOX_ATTEMPT from <$SANDBOX_RESUME> $WORD"; touch ckpt-1; echo begun; '
        '[ "$SANDBOX_ATTEMPT" = 2 ] || sleep 7861',
        cwd=str(tmp_path),
        env={"WORD": "kept"},
        queue=QueueRequest(retry=policy),
    )
    number = number_of(job)
    cluster.ask("scontrol", "requeue", number)
    waits = wait_for(login, job, JobState.QUEUED)
    assert waits.attempt == 2
    cluster.release(number)
    ended = wait_for(login, job, JobState.SUCCEEDED)
    assert ended.attempt == 2
    text = log_of(login, job)
    assert "attempt 1 from <> kept\n" in text
    assert "attempt 2 from <ckpt-1> kept\n" in text
    assert number_of(job) == number


def test_a_failed_attempt_is_followed_by_another_through_slurm(
    login: Sandbox,
) -> None:
    policy = RetryPolicy(retries=1, backoff_s=0)
    job = login.start(
        'echo "attempt $SANDBOX_ATTEMPT"; [ "$SANDBOX_ATTEMPT" = 2 ]',
        queue=QueueRequest(retry=policy),
    )
    ended = wait_for(login, job, JobState.SUCCEEDED, 40)
    assert ended.attempt == 2
    assert log_of(login, job).count("attempt ") == 2


def test_a_requeue_whose_answer_is_lost_is_followed_by_the_next_attempt(
    login: Sandbox, tmp_path: Path
) -> None:
    """Slurm ends all of the job at once, also the program that asked it for that."""
    fake(
        tmp_path,
        "scontrol",
        'case $1 in requeue) real "$@"; kill -s KILL $$ ;; esac\nreal "$@"',
    )
    policy = RetryPolicy(retries=1, backoff_s=0)
    job = login.start('[ "$SANDBOX_ATTEMPT" = 2 ]', queue=QueueRequest(retry=policy))
    ended = wait_for(login, job, JobState.SUCCEEDED, 40)
    assert ended.attempt == 2


def test_a_job_whose_node_dies_is_lost_and_says_so(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    job = started(login, "hostname; echo begun; sleep 7871")
    node = log_of(login, job).split()[0]
    cluster.kill_node(node)
    cluster.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    try:
        assert wait_for(login, job, JobState.LOST).words == "lost (its node failed)"
    finally:
        cluster.start_node(node)
        cluster.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
        cluster.wait_until_idle(3)


def test_an_answer_lost_in_mid_submission_makes_one_job_found_by_its_token(
    login: Sandbox, cluster: SlurmCluster, tmp_path: Path
) -> None:
    """The job reaches Slurm, and the login node never hears its number."""
    tool = fake(tmp_path, "sbatch", 'real "$@" >/dev/null; exit 124')
    job = login.start("echo begun; sleep 7881", name="once")
    tool.unlink()
    assert job.state is JobState.QUEUED
    wait_for(login, job, JobState.RUNNING)
    assert len(cluster.ask("squeue", "-h", "-o", "%i").split()) == 1
    assert jobs.stop(login, job.id, grace_s=1).job.state is JobState.STOPPED


def test_a_submission_that_never_arrived_is_sent_again_and_runs_once(
    login: Sandbox, tmp_path: Path
) -> None:
    tool = fake(tmp_path, "sbatch", "exit 124")
    job = login.start("echo ran >>runs", cwd=str(tmp_path))
    tool.unlink()
    tried = Path(job.log_path).parent / "slurm.tried"
    tried.write_text(f"{int(time.time()) - 21}\n")
    wait_for(login, job, JobState.SUCCEEDED)
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_of_two_submissions_of_one_job_one_runs(login: Sandbox, tmp_path: Path) -> None:
    """As where the first answer was lost, Slurm was slow, and it was sent again."""
    fake(tmp_path, "sbatch", 'real "$@" >/dev/null; real "$@"')
    job = login.start("echo ran >>runs; sleep 1", cwd=str(tmp_path))
    wait_for(login, job, JobState.SUCCEEDED)
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_while_slurm_does_not_answer_a_waiting_job_is_unknown_and_not_lost(
    tmp_path: Path, log_in: OpenSandbox
) -> None:
    later = log_in(slurm_extra=("--begin=now+600",))
    job = later.start("true")
    tool = fake(
        tmp_path,
        "squeue",
        "echo 'slurm_load_jobs error: Unable to contact slurm controller' >&2; exit 1",
    )
    unknown = wait_for(later, job, JobState.UNKNOWN)
    assert "Slurm does not answer" in unknown.reason
    tool.unlink()
    wait_for(later, job, JobState.QUEUED)


def test_a_job_that_slurm_forgot_is_unknown_and_lost_only_after_a_while(
    tmp_path: Path, log_in: OpenSandbox
) -> None:
    """MinJobAge has passed, and there is no accounting."""
    later = log_in(slurm_extra=("--begin=now+600",))
    job = later.start("true")
    fake(tmp_path, "squeue", "exit 0")
    unknown = wait_for(later, job, JobState.UNKNOWN)
    assert unknown.reason == "Slurm knows it no more"
    gone = Path(job.log_path).parent / "slurm.gone"
    gone.write_text(f"{int(time.time()) - 601}\n")
    assert wait_for(later, job, JobState.LOST).reason.startswith(
        "Slurm knows it no more"
    )


def test_a_number_that_slurm_gave_again_is_not_taken_for_the_job(
    tmp_path: Path, log_in: OpenSandbox
) -> None:
    later = log_in(slurm_extra=("--begin=now+600",))
    job = later.start("true")
    number = number_of(job)
    fake(tmp_path, "squeue", f"echo '{number}|COMPLETED|other|node1|N/A|None'")
    fake(tmp_path, "sacct", f"echo '{number}|other|COMPLETED|0:0'")
    assert wait_for(later, job, JobState.UNKNOWN).reason == "Slurm knows it no more"


def test_what_squeue_knows_no_more_accounting_tells(
    tmp_path: Path, log_in: OpenSandbox
) -> None:
    later = log_in(slurm_extra=("--begin=now+600",))
    job = later.start("true")
    number = number_of(job)
    token = (Path(job.log_path).parent / "token").read_text().strip()
    fake(tmp_path, "squeue", "exit 0")
    fake(tmp_path, "sacct", f"echo '{number}|so-{token}|CANCELLED by 0|0:0'")
    assert (
        wait_for(later, job, JobState.STOPPED).words == "stopped (cancelled in Slurm)"
    )


def test_one_question_to_slurm_serves_all_jobs(
    tmp_path: Path, log_in: OpenSandbox
) -> None:
    later = log_in(slurm_extra=("--begin=now+600",))
    for index in range(5):
        later.start("true", name=f"job-{index}")
    asked = tmp_path / "asked"
    fake(tmp_path, "squeue", f'echo asked >>{asked}; real "$@"')
    (Path(later.base) / "squeue").unlink(missing_ok=True)
    assert len(jobs.recent(log_in(), 10)) == 5
    assert asked.read_text() == "asked\n"


def test_a_job_after_another_waits_for_it_in_slurm(login: Sandbox) -> None:
    first = started(login, "echo begun; sleep 1; exit 4", name="first")
    strict = login.start("true", queue=QueueRequest(after=(first.id,)))
    any_end = login.start("true", queue=QueueRequest(after=(f"{first.id}:any",)))
    wait_for(login, any_end, JobState.SUCCEEDED)
    ended = wait_for(login, strict, JobState.STOPPED)
    assert ended.words == f"stopped ({first.id} did not succeed)"


def test_a_job_that_waits_for_another_and_is_stopped_is_not_said_to_have_waited_in_vain(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    first = started(login, "echo begun; sleep 7895", name="first")
    after = QueueRequest(after=(first.id,))
    stopped, cancelled = (login.start("true", queue=after) for _ in range(2))
    jobs.stop(login, stopped.id)
    assert wait_for(login, stopped, JobState.STOPPED).words == "stopped"
    cluster.ask("scancel", number_of(cancelled))
    ended = wait_for(login, cancelled, JobState.STOPPED)
    assert ended.words == "stopped (cancelled in Slurm)"
    assert jobs.get(login, first.id).state is JobState.RUNNING


def test_of_several_jobs_that_come_first_the_one_that_did_not_succeed_is_named(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    well = started(login, "echo begun; sleep 7896", name="well")
    bad = started(login, "echo begun; sleep 7897", name="bad")
    waits = login.start("true", queue=QueueRequest(after=(well.id, bad.id)))
    next_one = login.start("true", queue=QueueRequest(after=(waits.id,)))
    cluster.ask("scancel", number_of(bad))
    # nobody looks at those that come first: what Slurm says of them counts
    ended = wait_for(login, next_one, JobState.STOPPED)
    assert ended.words == f"stopped ({waits.id} did not succeed)"
    assert jobs.get(login, waits.id).words == f"stopped ({bad.id} did not succeed)"


def test_a_suspended_job_runs_and_says_that_it_is_suspended(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    job = started(login, "echo begun; sleep 7891")
    cluster.ask("scontrol", "suspend", number_of(job))
    wait_until(
        lambda: jobs.get(login, job.id).words == "running (suspended by Slurm)", SOON_S
    )
    cluster.ask("scontrol", "resume", number_of(job))
    wait_until(lambda: "running (on node" in jobs.get(login, job.id).words, SOON_S)


def test_a_term_to_the_batch_script_alone_reaches_the_training(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    job = started(login, "trap 'echo told; exit 9' TERM; echo begun; sleep 7971 & wait")
    cluster.ask("scancel", "--batch", "--signal=TERM", number_of(job))
    ended = wait_for(login, job, JobState.FAILED)
    assert ended.exit_code == 9
    assert "told\n" in log_of(login, job)


@pytest.mark.slow
def test_a_script_that_left_no_word_asks_whether_the_nodes_see_the_home(
    login: Sandbox, tmp_path: Path
) -> None:
    fake(tmp_path, "sbatch", 'real "$1" "$2" --output=/dev/null --wrap false')
    job = login.start("true")
    lost = wait_for(login, job, JobState.LOST)
    assert "do the nodes see this home?" in lost.words
