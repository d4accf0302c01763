"""What a program that waited for a job ends with."""

import pytest

from sandbox_ops.models import CommandResult, EndKind, Job, JobState
from sandbox_ops.models.waiting import WaitEvent, WaitReport


@pytest.mark.parametrize(
    ("state", "code", "shown"),
    [
        (JobState.SUCCEEDED, 0, 0),
        (JobState.FAILED, 3, 3),
        (JobState.FAILED, 137, 137),
        (JobState.TIMED_OUT, 143, 124),
        (JobState.LOST, None, 137),
        (JobState.UNKNOWN, None, 255),
    ],
)
def test_a_lost_job_and_a_lost_link_end_with_different_codes(
    state: JobState, code: int | None, shown: int
) -> None:
    job = Job(id="remote-1", state=state, exit_code=code)
    ends = {JobState.TIMED_OUT: EndKind.TIMED_OUT, JobState.LOST: EndKind.SIGNALLED}
    end = ends.get(state, EndKind.EXITED)
    if state is JobState.UNKNOWN:
        end = EndKind.CONNECTION_LOST
    assert CommandResult(job=job, end=end).exit_code == shown
    assert WaitReport(event=WaitEvent.ENDED, job=job).exit_code == shown
