"""Next steps as people type them: with `--sandbox NAME` where they chose that machine.

The sandbox that a task was asked for is kept for as long as the task runs, so that every
hint, in an error or below a report, speaks of the same machine.
"""

from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from sandbox_ops.errors import NextStep

_ELSEWHERE = frozenset({"completion", "demo"})  # verbs that are about no machine
_chosen: ContextVar[tuple[str, str]] = ContextVar("chosen", default=("", ""))
"""The option that names what was chosen, and its value."""


def forget_sandbox() -> None:
    """Begin a task: no machine was chosen yet."""
    _chosen.set(("", ""))


def choose_sandbox(name: str) -> None:
    """Name this sandbox in all next steps: it is not the default one."""
    _chosen.set(("sandbox", name))


def choose_several(on: str) -> None:
    """Name these sandboxes in all next steps, as they were named."""
    _chosen.set(("on", on))


def on_chosen_sandbox(hint: str | NextStep) -> str | NextStep:
    """The hint, with the chosen sandbox among the arguments of a step."""
    return _aimed(hint) if isinstance(hint, NextStep) else hint


def on_sandbox(step: NextStep, name: str) -> NextStep:
    """The step, for this one of several sandboxes."""
    return replace(step, arguments={"sandbox": name, **step.arguments})


def command(verb: str, **arguments: Any) -> str:  # noqa: ANN401 - of any option
    """A step as the command to type: `sandbox-ops logs remote-3 --sandbox gpu2`."""
    return _aimed(NextStep(verb, arguments)).command


def _aimed(step: NextStep) -> NextStep:
    option, value = _chosen.get()
    named = step.arguments.keys() & {"sandbox", "on"}
    if not value or named or step.verb in _ELSEWHERE:
        return step
    return replace(step, arguments={option: value, **step.arguments})
