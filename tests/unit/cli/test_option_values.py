import pytest

from sandbox_ops.cli import option_values
from sandbox_ops.errors import UsageError


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("", None),
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("8h", 28800),
        ("2d", 172800),
        ("1.5h", 5400),
        ("1:30:00", 5400),
        ("100:00:01", 360001),
    ],
)
def test_a_span_of_time_is_read(words: str, seconds: float | None) -> None:
    assert option_values.seconds(words, "--time") == seconds


@pytest.mark.parametrize(
    "words", ["0", "-5", "1:30", "8x", "h", "1h30m", "nan", "1:60:00", "٣"]
)
def test_what_is_no_span_of_time_is_refused(words: str) -> None:
    with pytest.raises(UsageError) as caught:
        option_values.seconds(words, "--time")
    assert str(caught.value) == (
        f"--time takes a span of time, not `{words}`\n"
        "write it as 90, 90s, 30m, 8h, 2d or 1:30:00"
    )


def test_assignments_keep_everything_after_the_first_equals_sign() -> None:
    items = ["steps=500", "tag=a=b", "empty="]
    result = option_values.assignments(items, "--set")
    assert result == {"steps": "500", "tag": "a=b", "empty": ""}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["steps"], "--set takes NAME=VALUE, not `steps`"),
        (["=5"], "--set takes NAME=VALUE, not `=5`"),
        (["a=1", "a=2"], "--set was given `a` twice"),
    ],
)
def test_what_assigns_nothing_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        option_values.assignments(words, "--set")


def test_a_number_of_gpus_is_a_whole_one() -> None:
    assert option_values.gpu_count("") is None
    assert option_values.gpu_count("0") == 0
    assert option_values.gpu_count("8") == 8
    for arguments in ("two", "-1", "1.5", "²"):
        with pytest.raises(UsageError, match="--gpus takes a whole number"):
            option_values.gpu_count(arguments)


def test_a_verb_that_needs_a_job_says_how_to_name_one() -> None:
    assert option_values.needed("remote-1", "stop") == "remote-1"
    with pytest.raises(UsageError) as caught:
        option_values.needed("", "stop")
    assert str(caught.value) == (
        "`stop` needs a job\n"
        "For example: sandbox-ops stop remote-1\nThey are listed by: sandbox-ops jobs"
    )


@pytest.mark.parametrize("words", ["1" + 18 * "0", "9" * 400, "20000d"])
def test_a_time_that_is_too_long_is_refused_with_the_longest(words: str) -> None:
    with pytest.raises(UsageError, match="at most 1000000000 seconds"):
        option_values.seconds(words, "--timeout")
