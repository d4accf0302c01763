"""What a machine says of a group, text to values."""

from sandbox_ops import JobState
from sandbox_ops.machine import group_replies
from sandbox_ops.remote.frames import Segment
from sandbox_ops.workflows import sweep_plan

ENDED = "ended code=0 reason=exited sure=1 t0=1 up0=1 up1=2 survivors=0 ended"


def job(number: int, cell: int) -> list[Segment]:
    spec = b'{"group": "t1", "cell": %d, "name": "t1-%d"}' % (cell, cell)
    words = ("life=gone", *ENDED.split())
    return [
        Segment(spec, "spec", (f"remote-{number}",)),
        Segment(b"", "job", (f"remote-{number}", *words)),
    ]


def test_of_a_cell_the_newest_job_counts_and_its_starts_are_counted() -> None:
    lines = (
        b"1 remote-1 aa c0ffee\n2 remote-2 bb -\n1 remote-3 aa beef\nthen remote-4 cc -\n"
        b"x remote-5 dd -\n6 nonsense ee -\n0 remote-7 ff -\nhalf\n"
    )
    segments = [
        Segment(lines, "group", ("t1",)),
        *job(3, 1),
        *job(2, 2),
        *job(4, 0),
        Segment(
            b"remote-2/summary:\x1e\x1estep 1/2 loss=0.5\nremote-2/summary:\x1e\n",
            "summaries",
            (),
        ),
        Segment(b"", "disk", ()),
    ]
    group = group_replies.read("t1", segments, "/base")
    assert group is not None
    assert [(m.number, m.job.id, m.commit) for m in group.members] == [
        (1, "remote-3", "beef"),
        (2, "remote-2", ""),
    ]
    assert group.members[0].job.state is JobState.SUCCEEDED
    assert group.members[1].digest is not None
    assert group.members[1].digest.tail == b"step 1/2 loss=0.5\n"
    assert group.then is not None
    assert group.then.job.id == "remote-4"
    assert group.numbers == {"aa": 1, "bb": 2}
    assert group.starts["aa"] == 2
    assert group.counts() == {"succeeded": 2}
    assert group.ended


def test_a_start_that_only_took_its_number_is_none_and_the_first_has_the_number() -> (
    None
):
    lines = (
        b"=1 remote-1 aa\n1 remote-1 aa -\n1 remote-1 aa -\n=2 remote-2 bb\n"
        b"=2 remote-3 cc\n=3 remote-4 cc\n"
    )
    segments = [Segment(lines, "group", ("t1",)), *job(1, 1)]
    group = group_replies.read("t1", segments, "/base")
    assert group is not None
    assert [member.job.id for member in group.members] == ["remote-1"]
    assert group.starts == {"aa": 1}
    assert group.numbers == {"aa": 1, "bb": 2, "cc": 3}


def test_a_cell_whose_record_cannot_be_read_is_unknown_and_not_started_again() -> None:
    lines = b"=1 remote-1 aa\n1 remote-1 aa -\n2 remote-2 bb -\n"
    segments = [
        Segment(lines, "group", ("t1",)),
        Segment(b"", "missing", ("remote-1",)),
        *job(2, 2),
    ]
    group = group_replies.read("t1", segments, "/base")
    assert group is not None
    assert [member.job.state for member in group.members] == [
        JobState.UNKNOWN,
        JobState.SUCCEEDED,
    ]
    assert sweep_plan.why_skipped(group.members[0], again=True, failed=True)


def test_a_name_that_is_no_group_says_nothing() -> None:
    assert group_replies.read("t1", [Segment(b"", "gpus", ())], "/base") is None
