"""What sbatch is given about a job."""

import pytest

from sandbox_ops.engines.slurm_text import submit_options
from sandbox_ops.errors import UsageError
from sandbox_ops.models.queue import CORES, QueueRequest, RetryPolicy
from sandbox_ops.models.settings import SlurmSettings
from sandbox_ops.remote.start_request import StartRequest

NOTHING = SlurmSettings()


def options(
    queue: QueueRequest | None = None, timeout_s: float | None = None
) -> set[str]:
    request = StartRequest(command="true", queue=queue, timeout_s=timeout_s)
    return set(submit_options(NOTHING, request))


def test_a_plain_job_leaves_everything_to_the_cluster() -> None:
    assert options() == {"--signal=B:USR1@120", "--no-requeue"}


def test_the_configured_options_come_last_so_that_they_win() -> None:
    settings = SlurmSettings(
        partition="gpu", account="lab", qos="long", extra=("--mem=64G", "--exclusive")
    )
    sbatch_options = submit_options(settings, StartRequest(command="true"))
    assert sbatch_options[-5:] == (
        "--partition=gpu",
        "--account=lab",
        "--qos=long",
        "--mem=64G",
        "--exclusive",
    )


def test_gpus_priority_and_retries_have_their_options() -> None:
    queue = QueueRequest(gpus=2, priority=-5, slots=CORES, retry=RetryPolicy(retries=1))
    assert options(queue) == {
        "--gres=gpu:2",
        "--nice=5",
        "--requeue",
        "--signal=B:USR1@120",
    }


@pytest.mark.parametrize(
    ("timeout_s", "limit", "warning"),
    [
        (3600, "--time=60", "--signal=B:USR1@120"),
        (240, "--time=4", "--signal=B:USR1@60"),
        (61, "--time=2", "--signal=B:USR1@74"),  # 15 s before our own deadline
        (0.5, "--time=1", "--signal=B:USR1@60"),
    ],
)
def test_slurms_limit_is_whole_minutes_and_the_warning_comes_before_our_deadline(
    timeout_s: float, limit: str, warning: str
) -> None:
    assert {limit, warning} <= options(timeout_s=timeout_s)


@pytest.mark.parametrize(
    "queue",
    [QueueRequest(share=2), QueueRequest(min_free_mem_mib=1), QueueRequest(slots=4)],
)
def test_what_slurm_cannot_hold_is_refused(queue: QueueRequest) -> None:
    with pytest.raises(UsageError, match="Slurm"):
        options(queue)
