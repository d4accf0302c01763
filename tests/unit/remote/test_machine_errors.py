"""What a machine answers when another job has what a start wants."""

import pytest

from sandbox_ops.remote.machine_errors import machine_error


@pytest.mark.parametrize(
    ("claim", "words", "force"),
    [
        ("name-night", "the name night is held by remote-3", "same-name"),
        ("file-1f3a", "a file that it would write is held by remote-3", "same-output"),
        ("gpu-0", "GPU 0 is held by remote-3", ""),
    ],
)
def test_who_holds_what_is_said_in_words_with_every_way_out(
    claim: str, words: str, force: str
) -> None:
    message = f"{claim} is held by remote-3, which has not ended"
    error = machine_error("refused", message, "held")
    assert error.message == f"the machine says: {words}, which has not ended"
    steps = [step.command for step in error.next_steps]
    assert steps[:2] == ["sandbox-ops logs remote-3", "sandbox-ops stop remote-3"]
    assert steps[2:] == [f"sandbox-ops train --force {force}"] * bool(force)


def test_words_of_a_machine_that_are_no_claim_of_ours_stay() -> None:
    error = machine_error("refused", "name-x is held by nobody", "held")
    assert error.message == "the machine says: name-x is held by nobody"
    assert error.hints == ()
