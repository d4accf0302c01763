"""Next steps as people type them."""

from sandbox_ops.cli import next_steps
from sandbox_ops.errors import NextStep


def test_a_step_names_the_sandbox_that_was_chosen_and_no_other() -> None:
    next_steps.forget_sandbox()
    assert next_steps.command("logs", job="remote-3") == "sandbox-ops logs remote-3"
    next_steps.choose_sandbox("gpu2")
    assert next_steps.command("logs", job="remote-3") == (
        "sandbox-ops logs remote-3 --sandbox gpu2"
    )
    assert next_steps.command("run", command="df -h") == (
        "sandbox-ops run --sandbox gpu2 -- df -h"
    )
    next_steps.forget_sandbox()


def test_a_step_that_names_a_sandbox_itself_and_one_without_any_stay() -> None:
    next_steps.choose_sandbox("gpu2")
    elsewhere = NextStep("trust", {"sandbox": "gpu1"})
    assert next_steps.on_chosen_sandbox(elsewhere) == elsewhere
    assert next_steps.command("demo") == "sandbox-ops demo"
    assert next_steps.on_chosen_sandbox("plain words") == "plain words"
    next_steps.forget_sandbox()
