"""Where a page ended is where the next one begins."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.machine.places import Places

CONTENT = st.lists(st.sampled_from([b"\n", b"a", b"bc\n", b"\0"])).map(b"".join)


@given(CONTENT, st.integers(0, 9), st.integers(1, 5))
def test_a_page_teaches_where_the_next_one_begins(
    content: bytes, before: int, count: int
) -> None:
    lines = content.splitlines(keepends=True) if b"\r" not in content else []
    at = sum(len(line) for line in lines[:before])
    places = Places()
    places.learn(
        "/f", inode="7", first=before + 1, count=count, data=content[at:], at=at
    )
    whole = [line for line in lines[before : before + count] if line.endswith(b"\n")]
    for line in range(1, 20):
        place = places.find("/f", line)
        if whole and line == before + 1 + len(whole):
            assert place is not None
            begin = place.mark_at + len(place.mark)
            assert begin == at + len(b"".join(whole))
            assert content[place.mark_at : begin] == place.mark
        else:
            assert place is None


def test_the_latest_used_are_kept_and_of_a_page_its_end() -> None:
    places = Places(most=2)
    for number in range(3):
        if number == 2:
            assert places.find("/0", 2)
        data = b"x" * 100_000 + b"\n"
        places.learn(f"/{number}", inode="7", first=1, count=1, data=data, at=0)
    assert places.find("/1", 2) is None
    assert places.find("/2", 2)
    kept = places.find("/0", 2)
    assert kept is not None
    assert len(kept.mark) == 4096
    assert kept.mark_at + len(kept.mark) == 100_001
