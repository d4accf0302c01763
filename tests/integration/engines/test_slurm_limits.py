"""Time limits by Slurm's own timer. The least is a minute; it looks every 30 s."""

from pathlib import Path

import pytest
from gitproject import GitProject
from machines import set_up
from slurm import OpenSandbox, SlurmCluster
from slurm_jobs import log_of, number_of, started, wait_for

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.models.queue import RetryPolicy
from sandbox_ops.workflows.queueing import QueueOptions
from sandbox_ops.workflows.train import train

_LIMIT_S = 60.0
_TRAIN = """\
import os, pathlib, signal, sys
def save(*_):
    pathlib.Path("step-7.pt").touch()
    print("saved", flush=True)
    sys.exit(75)
signal.signal(signal.SIGUSR1, save)
print(f"attempt {os.environ['SANDBOX_ATTEMPT']} from {sys.argv[1:]}", flush=True)
if not sys.argv[1:]:
    signal.pause()
"""


@pytest.mark.timeout(180)
@pytest.mark.slow
def test_slurm_warns_ahead_of_its_limit_and_the_next_attempt_resumes(
    log_in: OpenSandbox, git_project: GitProject, tmp_path: Path
) -> None:
    """Slurm itself sends the signal, a quarter of a minute before the minute is over."""
    git_project.commit({"long.py": _TRAIN}, push=True)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    place = set_up(log_in(workspace=str(workspace)), git_project)
    retry = RetryPolicy(retries=1, backoff_s=0, resume_from="step-*.pt")
    report = train(
        place.sandbox,
        place.project,
        command="python3 long.py {resume}",
        time_s=_LIMIT_S,
        queue=QueueOptions(waits=False, retry=retry),
    )
    ended = jobs.wait(place.sandbox, report.job.id, timeout_s=150)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 2), ended
    assert log_of(place.sandbox, ended).splitlines()[:2] == [
        "attempt 1 from []",
        "saved",
    ]
    assert "attempt 2 from ['step-7.pt']" in log_of(place.sandbox, ended)


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_what_slurms_own_limit_ends_is_timed_out_whether_it_obeys_or_not(
    login: Sandbox, cluster: SlurmCluster
) -> None:
    """Slurm says TERM, and KILL to all of the job, our supervisor too, after KillWait (5 s)."""
    obeys = started(
        login, "trap 'echo told; exit 3' TERM; echo begun; sleep 7961 & wait"
    )
    ignores = started(login, "trap '' TERM; echo begun; while :; do sleep 1; done")
    for job in (obeys, ignores):
        cluster.ask("scontrol", "update", f"JobId={number_of(job)}", "EndTime=now+1")
    for job in (obeys, ignores):
        ended = wait_for(login, job, JobState.TIMED_OUT, 90)
        assert ended.outcome_code == 124
    assert "told\n" in log_of(login, obeys)
    assert "DUE TO TIME LIMIT" in log_of(login, obeys)
