"""A worker's answers are cut into segments, however they arrive."""

from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.remote.frames import Frames, Segment

NONCE = "0123abcd"
bodies = st.lists(
    st.binary(max_size=60).filter(lambda b: NONCE.encode() not in b), max_size=6
)


def wire(segments: list[bytes]) -> bytes:
    return b"".join(
        body + f"\n{NONCE} part {at} size={len(body)}\n".encode()
        for at, body in enumerate(segments)
    )


@given(bodies, st.integers(1, 17))
def test_segments_are_the_same_however_the_bytes_are_chunked(
    segments: list[bytes], step: int
) -> None:
    data = wire(segments)
    frames = Frames(NONCE)
    collected: list[Segment] = []
    for at in range(0, len(data), step):
        collected += frames.feed(data[at : at + step])
    assert [segment.data for segment in collected] == segments
    assert [segment.words[0] for segment in collected] == [
        str(n) for n in range(len(collected))
    ]
    assert [int(segment.fields["size"]) for segment in collected] == list(
        map(len, segments)
    )
    assert frames.rest == b""


@given(st.binary(max_size=300))
def test_bytes_without_the_nonce_are_never_taken_for_a_trailer(noise: bytes) -> None:
    frames = Frames("a-nonce-that-no-noise-holds")
    assert frames.feed(noise) == []
    assert frames.rest == noise


def test_output_that_imitates_a_trailer_with_another_nonce_stays_output() -> None:
    forged = b"\nffffffff end 1\n"
    result = Frames(NONCE).feed(forged + f"\n{NONCE} end 1\n".encode())
    assert [segment.data for segment in result] == [forged]
