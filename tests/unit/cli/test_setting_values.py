"""What the values of --set stand for: one, a list, a range."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox_ops.cli import setting_values
from sandbox_ops.errors import UsageError


@pytest.mark.parametrize(
    ("text", "values", "is_list"),
    [
        ("1e-3", ("1e-3",), False),
        ("", ("",), False),
        ("1e-3,1e-4", ("1e-3", "1e-4"), True),
        ("1..5", ("1", "2", "3", "4", "5"), True),
        ("1..9..2", ("1", "3", "5", "7", "9"), True),
        ("0..10..4", ("0", "4", "8"), True),
        ("-2..1", ("-2", "-1", "0", "1"), True),
        ("08..11", ("08", "09", "10", "11"), True),
        ("7..7", ("7",), True),
        ("1..3,7", ("1", "2", "3", "7"), True),
        ("7,", ("7",), True),
        (r"a\,b", ("a,b",), False),
        (r"a\,b,c", ("a,b", "c"), True),
        (r"1\..5", ("1..5",), False),
        ("../data", ("../data",), False),
        ("a..b", ("a..b",), False),
        ("1...5", ("1...5",), False),
        ("[0.9,0.99],[0.8,0.9]", ("[0.9,0.99]", "[0.8,0.9]"), True),
        ("{a: 1, b: 2}", ("{a: 1, b: 2}",), False),
        ("'a,b',c", ("'a,b'", "c"), True),
        ("[1,2", ("[1", "2"), True),
        (r"C:\x", (r"C:\x",), False),
        ("a b,c/d", ("a b", "c/d"), True),
    ],
)
def test_a_value_is_one_or_a_list_or_a_range(
    text: str, values: tuple[str, ...], is_list: bool
) -> None:
    assert setting_values.values("x", text) == (values, is_list)


@pytest.mark.parametrize(
    "text", [",", "a,,b", ",a", "5..1", "1..5..0", "1..100000", "0..1000"]
)
def test_what_makes_no_list_is_refused_with_its_name(text: str) -> None:
    with pytest.raises(UsageError, match="--set x"):
        setting_values.values("x", text)


@example("[" * 50)
@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = setting_values.values("x", text)
    except UsageError:
        return
    assert read.values


@given(st.text(min_size=1, max_size=50))
def test_every_text_can_be_written_so_that_it_is_one_value(text: str) -> None:
    written = text.replace(",", "\\,").replace("..", "\\..")
    if "\\" not in text:
        assert setting_values.values("x", written) == ((text,), False)


def test_a_sweep_is_what_has_a_list() -> None:
    plain = setting_values.read({"lr": "1", "seed": "2"})
    swept = setting_values.read({"lr": "1", "seed": "2,"})
    assert not setting_values.is_sweep(plain)
    assert setting_values.is_sweep(swept)
    assert setting_values.lists(swept) == {"lr": ("1",), "seed": ("2",)}
