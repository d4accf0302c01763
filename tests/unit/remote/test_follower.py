"""When it is worth asking a machine again for what a command prints."""

from sandbox_ops.models import Job, JobState
from sandbox_ops.remote.follower import Watch
from sandbox_ops.remote.job_replies import JobReply
from sandbox_ops.remote.stream import Range

RUNNING = Job(id="remote-1", state=JobState.RUNNING)


def test_who_lags_behind_the_output_asks_again_at_once_and_else_waits() -> None:
    watch = Watch(RUNNING, 8, lambda *_: None)
    assert watch.query(100).log == (0, 100)
    watch.take(JobReply(job=RUNNING, ranges={"log": Range(b"x" * 100, 0)}))
    assert watch.pause_s == 0
    assert watch.query(100).log == (0, 200)
    watch.take(JobReply(job=RUNNING, ranges={"log": Range(b"x" * 199, 0)}))
    assert watch.pause_s > 0
