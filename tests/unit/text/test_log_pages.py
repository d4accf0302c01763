import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.machine.logs import FILTER_BYTES
from sandbox_ops.models import Job, JobOutput, JobState
from sandbox_ops.text import log_pages, marks

RUNNING = Job(id="remote-3", state=JobState.RUNNING)
ENDED = Job(id="remote-3", state=JobState.SUCCEEDED, exit_code=0)


def cut(
    log: bytes, offset: int, size: int, job: Job = RUNNING, *, restarted: bool = False
) -> JobOutput:
    begin = max(0, len(log) + offset) if offset < 0 else offset
    return JobOutput(
        job=job,
        data=log[begin : begin + size],
        offset=begin,
        size_bytes=len(log),
        inode=7,
        restarted=restarted,
    )


def tail(log: bytes, job: Job = RUNNING) -> log_pages.Page:
    return log_pages.tail(cut(log, -log_pages.TAIL_BYTES, log_pages.TAIL_BYTES, job))


def following(log: bytes, offset: int, job: Job = RUNNING) -> log_pages.Page:
    return log_pages.following(cut(log, offset, log_pages.PAGE_BYTES, job))


def test_a_short_log_is_shown_whole() -> None:
    page = tail(b"one\ntwo\n")
    assert page == log_pages.Page(
        text="one\ntwo\n", summary="all 8 B of output", next_offset=8
    )


def test_an_empty_log_is_reported_as_such() -> None:
    assert tail(b"").summary == "no output yet"


def test_a_long_log_is_shown_from_a_line_near_its_end() -> None:
    log = b"".join(b"line %07d\n" % n for n in range(100_000))
    page = tail(log)
    assert 2_900 < len(page.text) <= log_pages.TAIL_LIMIT
    assert page.text.endswith("line 0099999\n")
    assert page.text.startswith("line 00")
    assert page.next_offset == len(log)
    assert page.summary == "the last 2.9 KiB of 1.2 MiB of output"


def test_a_progress_bar_is_shown_in_its_last_state() -> None:
    log = b"begun\n" + b"".join(b"\r%3d%% |###" % n for n in range(100))
    assert tail(log).text == "begun\n 99% |###"


def test_a_giant_progress_bar_is_shown_although_its_line_began_long_ago() -> None:
    log = b"begun\n" + b"".join(b"\r%7d it" % n for n in range(100_000)) + b"\n"
    assert tail(log).text == "  99999 it\n"


def test_what_is_new_is_shown_once() -> None:
    assert following(b"one\ntwo\n", 4) == log_pages.Page(
        text="two\n", summary="4 B of new output", next_offset=8
    )
    assert following(b"one\ntwo\n", 8) == log_pages.Page(
        text="", summary="nothing new", next_offset=8
    )


def test_more_than_fits_is_left_to_the_next_page_and_reported() -> None:
    log = b"".join(b"line %07d\n" % n for n in range(10_000))
    page = following(log, 0)
    assert len(page.text) <= log_pages.LIMIT
    assert page.text.endswith("\n")
    new, more = page.summary.split("; ")
    assert new == "27.3 KiB of new output"
    assert more == "99.6 KiB more is there: go on from the cursor"


def test_half_a_character_waits_for_its_other_half_while_the_job_lives() -> None:
    page = following("naïv".encode()[:3], 0)
    assert (page.text, page.next_offset) == ("na", 2)
    assert page.summary == "2 B of new output"
    assert following("naïv".encode()[:3], 0, ENDED).text == "na\\xc3"


def test_an_open_terminal_sequence_waits_too() -> None:
    assert following(b"red \x1b[3", 0).next_offset == 4
    assert following(b"red \x1b[31", 0).text == "red "
    assert following(b"red \x1b[31m7 8", 0).text == "red 7 8"


def test_a_rotated_log_is_reported() -> None:
    page = log_pages.following(cut(b"anew\n", 0, 100, restarted=True))
    assert page.summary == "the log is not the one the cursor knew; from its beginning"
    assert page.text == "anew\n"


PIECES = st.lists(
    st.sampled_from(
        [b"line\n", "é€😀".encode(), b"\x1b[31m", b"\r50%", b"\n", b"\xff", b"w" * 999]
    ),
    max_size=60,
).map(b"".join)


@given(PIECES, st.integers(1, 400), st.integers(0, 300))
def test_the_pages_of_a_log_put_together_are_the_log(
    log: bytes, step: int, grown: int
) -> None:
    shown, offset = b"", 0
    for size in [*range(grown, len(log), step), len(log)]:  # it grows as we read
        piece = cut(log[:size], offset, 4_000)
        page = log_pages.following(piece)
        assert page.next_offset <= max(size, offset)
        shown += log[offset : page.next_offset]
        assert page.text == marks.remote(log[offset : page.next_offset])
        offset = page.next_offset
    while True:
        page = log_pages.following(cut(log, offset, 4_000, ENDED))
        if page.next_offset == offset:
            break
        shown += log[offset : page.next_offset]
        offset = page.next_offset
    assert shown == log


def test_a_line_longer_than_a_page_is_shown_over_several() -> None:
    log = b"x" * 70_000
    offset, shown = 0, ""
    while offset < len(log):
        page = following(log, offset, ENDED)
        assert len(page.text) <= log_pages.LIMIT
        offset, shown = page.next_offset, shown + page.text
    assert shown == "x" * 70_000


def matching(
    log: bytes, pattern: str, *, since: int | None = None, job: Job = RUNNING
) -> log_pages.Page:
    offset = -FILTER_BYTES if since is None else since
    piece = cut(log, offset, FILTER_BYTES, job)
    return log_pages.matching(piece, pattern, forward=since is not None)


def test_only_matching_lines_are_shown_and_what_was_searched_is_reported() -> None:
    log = b"step 1 loss 2\nwarning\nstep 2 loss 1\n"
    assert matching(log, r"loss \d") == log_pages.Page(
        text="step 1 loss 2\nstep 2 loss 1",
        summary="2 of 3 lines match in all 36 B of output",
        next_offset=36,
    )
    page = matching(log, "loss", since=14)
    assert page.text == "step 2 loss 1"
    assert page.summary == "1 of 2 lines match in the 22 B after the cursor"


def test_colours_and_bars_do_not_hide_a_match() -> None:
    log = b"\x1b[32mINFO\x1b[0m up\n 50%\r100% done\n"
    assert matching(log, "^INFO|^100%").text == "INFO up\n100% done"


def test_a_line_that_is_not_whole_yet_waits_for_the_next_page() -> None:
    page = matching(b"loss 1\nlos", "loss", since=0)
    assert (page.text, page.next_offset) == ("loss 1", 7)
    assert matching(b"loss 1\nloss", "loss", since=7, job=ENDED).text == "loss"


def test_more_matches_than_fit_are_the_last_or_with_a_cursor_the_first() -> None:
    log = b"".join(b"loss %07d\n" % n for n in range(20_000))
    last = matching(log, "loss")
    assert last.text.endswith("loss 0019999")
    assert last.next_offset == len(log)
    assert last.summary.startswith("20,000 of 20,000 lines match, the last 2,153 are")
    first = matching(log, "loss", since=0)
    assert first.text.startswith("loss 0000000")
    shown = first.text.count("\n") + 1
    assert first.next_offset == shown * 13
    assert f"the first {shown:,} are shown, in" in first.summary
    assert "more is there: go on from the cursor" in first.summary
    assert len(first.text) <= log_pages.LIMIT
    again = matching(log, "loss", since=first.next_offset)
    assert again.text.startswith(f"loss {shown:07d}")


def test_only_the_last_part_of_a_huge_log_is_searched_without_a_cursor() -> None:
    log = b"needle\n" + b"hay and more of it\n" * 500_000
    page = matching(log, "needle")
    assert page.text == ""
    assert page.summary.endswith("in the last 8.0 MiB of 9.1 MiB of output")
    assert page.summary.startswith("0 of ")


@pytest.mark.parametrize("job", [RUNNING, ENDED])
def test_an_ended_job_has_no_line_left_to_wait_for(job: Job) -> None:
    page = matching(b"a\nb", "b", since=0, job=job)
    assert page.next_offset == (3 if job is ENDED else 2)
    assert "more is there" not in page.summary


@pytest.mark.parametrize("since", [None, 0])
def test_a_bar_that_only_redraws_its_line_is_seen_as_it_is_now(
    since: int | None,
) -> None:
    log = b"begun\n" + b"".join(b"\r%3d%% loss=%d" % (n, 100 - n) for n in range(100))
    page = matching(log, "loss", since=since)
    assert page.text == " 99% loss=1"
    assert page.summary.endswith("the last line is being redrawn")
    assert matching(log, "loss=5", since=since).text == ""
    grown = log + b"\r100% loss=0\n"
    assert matching(grown, "loss", since=page.next_offset).text == "100% loss=0"


def test_half_a_state_of_a_bar_is_searched_again_when_it_is_whole() -> None:
    log = b"\r 98% loss=2\r 99% lo"
    page = matching(log, "loss", since=0)
    assert page.text == ""
    assert (
        matching(log + b"ss=1\n", "loss", since=page.next_offset).text == " 99% loss=1"
    )


def test_a_filter_says_that_the_log_is_another_one() -> None:
    piece = cut(b"loss 1\n", 0, 100, restarted=True)
    page = log_pages.matching(piece, "loss", forward=True)
    assert page.summary == (
        "1 of 1 lines match in its beginning: the log is not the one the cursor knew"
    )
