import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import UsageError
from sandbox_ops.text.log_cursor import Cursor, decode
from sandbox_ops.text.paging import Place

PLACE = Cursor(
    sandbox="gpu1", job_id="remote-3", place=Place.after(b"step 7\n", 4096, 77)
)


@given(
    st.text(st.characters(codec="utf-8")),
    st.integers(0),
    st.integers(0),
    st.binary(),
    st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=9), max_size=8
    ).map(tuple),
)
def test_a_cursor_comes_back_as_it_was(
    name: str, more: int, inode: int, known: bytes, warned: tuple[str, ...]
) -> None:
    there = Place.after(known, len(known) + more, inode)
    place = Cursor(sandbox=name, job_id="remote-3", place=there, warned=warned)
    word = place.encode()
    assert word.replace("-", "").replace("_", "").isalnum()
    assert decode(word, sandbox=name, jobs=["remote-3"]) == place


def test_a_cursor_may_have_blanks_around_it() -> None:
    assert decode(f" {PLACE.encode()}\n", sandbox="gpu1", jobs=["remote-3"]) == PLACE


def test_a_cursor_of_another_job_is_refused_and_the_job_named() -> None:
    with pytest.raises(UsageError, match="a cursor of remote-3, not of remote-4"):
        decode(PLACE.encode(), sandbox="gpu1", jobs=["remote-4"])
    with pytest.raises(UsageError, match="a cursor of remote-3 on gpu1, not of"):
        decode(PLACE.encode(), sandbox="gpu2", jobs=["remote-3"])


@pytest.mark.parametrize("job", ["remote-3", "3", "last", "night"])
def test_a_cursor_says_which_job_a_name_meant_when_it_was_made(job: str) -> None:
    assert decode(PLACE.encode(), sandbox="gpu1", jobs=[job]).job_id == "remote-3"


@pytest.mark.parametrize(
    "word",
    [
        "x",
        "4096",
        "remote-3",
        "é",
        PLACE.encode()[:-1],
        PLACE.encode()[1:],
        PLACE.encode().swapcase(),
        base64.urlsafe_b64encode(b"3/remote-3/-5/7/0/0//gpu1").decode(),
    ],
)
def test_what_is_no_cursor_of_ours_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="is not a cursor") as caught:
        decode(word, sandbox="gpu1", jobs=["remote-3"])
    assert caught.value.hint


@given(st.text())
def test_any_word_is_a_cursor_or_refused(word: str) -> None:
    with pytest.raises(UsageError):
        decode(word, sandbox="gpu1", jobs=["remote-3"])
