"""A collector asks for what is new, keeps head and tail, and knows when it is done."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.remote.stream import KNOWN_BYTES, Collector, Range


def serve(content: bytes, question: tuple[int, int]) -> Range:
    """Answer as the machine does."""
    offset, count = question
    if offset < 0:
        start = max(0, len(content) + offset)
        return Range(content[start : start + count], start, size_bytes=len(content))
    return Range(content[offset : offset + count], offset)


@given(
    st.lists(st.binary(min_size=0, max_size=40), min_size=1, max_size=8),
    st.integers(2, 60),
)
def test_what_is_kept_is_the_head_and_the_tail_of_the_whole(
    growth: list[bytes], keep_bytes: int
) -> None:
    collector = Collector(keep_bytes)
    content = b""
    for piece in growth:
        content += piece
        collector.take(serve(content, collector.next_range(ended=False)), ended=False)
    for _ in range(200):
        if collector.done:
            break
        collector.take(serve(content, collector.next_range(ended=True)), ended=True)
    kept = collector.output
    half = keep_bytes // 2
    assert collector.done
    assert kept.size_bytes == len(content)
    assert content.startswith(kept.head)
    assert content.endswith(kept.tail)
    assert len(kept.head) <= half
    assert len(kept.tail) <= half
    if len(content) <= keep_bytes - keep_bytes % 2:
        assert kept.head + kept.tail == content
    assert kept.omitted_bytes == len(content) - len(kept.head) - len(kept.tail)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8), st.integers(1, 50))
def test_a_listener_gets_every_byte_once_and_in_order(
    growth: list[bytes], at_most: int
) -> None:
    heard = bytearray()
    collector = Collector(8, heard.extend)
    content = b""
    ended = False
    while not collector.done:
        ended = not growth
        content += growth.pop(0) if growth else b""
        asked = collector.next_range(ended=ended, at_most=at_most)
        assert asked[1] <= at_most + KNOWN_BYTES
        collector.take(serve(content, asked), ended=ended)
        assert collector.behind or bytes(heard) == content
    assert ended
    assert bytes(heard) == content
    assert collector.output.tail == content[4:][-4:]


def test_a_stream_whose_file_is_gone_ends_with_its_command() -> None:
    collector = Collector(8)
    collector.next_range(ended=False)
    collector.take(Range(b"", 0, gone=True), ended=False)
    assert not collector.done
    collector.take(Range(b"", 0, gone=True), ended=True)
    assert collector.done


def test_once_done_nothing_more_is_asked_for() -> None:
    collector = Collector(8)
    collector.asked(4)
    collector.take(Range(b"ab", 0), ended=True)
    assert collector.done
    assert collector.next_range(ended=True)[1] == 0
    collector.take(Range(b"", 2), ended=True)
    assert collector.done


def follow(collector: Collector, content: bytes, *, ended: bool = False) -> None:
    """Ask until there is nothing new."""
    for _ in range(10):
        asked = collector.next_range(ended=ended)
        collector.take(serve(content, asked), ended=ended)
        if not collector.behind:
            return
    raise AssertionError("it asks for ever")


@given(st.binary(min_size=1, max_size=600), st.binary(max_size=2000))
def test_a_listener_gets_all_of_a_file_that_took_the_place_of_another(
    old: bytes, new: bytes
) -> None:
    heard, restarts = bytearray(), []
    collector = Collector(8, heard.extend, on_restart=lambda: restarts.append(1))
    follow(collector, old)
    follow(collector, new)
    follow(collector, new, ended=True)
    kept = (
        new.startswith(old[-KNOWN_BYTES:])
        if len(old) <= KNOWN_BYTES
        else (new[len(old) - KNOWN_BYTES : len(old)] == old[-KNOWN_BYTES:])
    )
    assert collector.done
    assert collector.truncated == bool(restarts) == (not kept)
    assert bytes(heard) == (old + new[len(old) :] if kept else old + new)


def test_one_that_begins_at_a_place_hears_what_comes_after_it() -> None:
    heard = bytearray()
    collector = Collector(8, heard.extend, offset=4, known=b"cd")
    follow(collector, b"abcdef")
    assert bytes(heard) == b"ef"


def test_of_a_file_that_outgrew_its_limit_the_end_is_shown_and_nothing_again() -> None:
    heard, restarts = bytearray(), []
    collector = Collector(8, heard.extend, on_restart=lambda: restarts.append(1))
    begin = b"".join(b"%07d\n" % n for n in range(1000))
    follow(collector, begin)
    end = b"".join(b"%07d\n" % n for n in range(700, 2000))
    cut = begin[:1600] + end  # what was between is gone
    for _ in range(3):
        asked = collector.next_range(ended=True)
        collector.take(serve(cut, asked), ended=True, cut_by_us=True)
    assert bytes(heard) == begin + end[300 * 8 :]
    assert (collector.done, collector.truncated, restarts) == (True, True, [])
