import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.text.pipes import ends_in_tee


@pytest.mark.parametrize(
    "command",
    [
        "python train.py | tee log",
        "python train.py 2>&1 | tee -a log",
        "a|tee b",
        "a |& tee b",
        "cd x && a | tee b",
        "(a | tee b)",
        "for i in 1 2; do a | tee b; done",
        "a |\n  tee b\n",
        "a \\\n  | tee b",
        "a | sudo tee b > /dev/null 2>&1",
        "a | /usr/bin/tee b # keep it",
    ],
)
def test_a_last_stage_that_is_tee_is_found(command: str) -> None:
    assert ends_in_tee(command)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "tee b",
        "a || tee b",
        "a | tee b | grep c",
        "a | tee b; c",
        "a | tee b\nc",
        "echo 'a | tee b'",
        "a # | tee b",
        "set -o pipefail; a | tee b",
        "a | tee b; exit ${PIPESTATUS[0]}",
        "a 'never closed | tee b",
        "cat <<E | tee b\nx\nE",
        "a | teeth",
    ],
)
def test_what_is_no_last_tee_is_not_taken_for_one(command: str) -> None:
    assert not ends_in_tee(command)


@given(st.text(alphabet="a |&;\n'\"#<>()tee\\ ", max_size=40))
def test_any_command_can_be_looked_at(command: str) -> None:
    ends_in_tee(command)
