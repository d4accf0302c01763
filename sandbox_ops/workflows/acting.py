"""Each workflow is one action: its mode is asked and it is noted before its first step."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[Concatenate[Sandbox, Project, P], T]

_NOTED = (
    *("command", "name", "job", "paths", "into", "path", "dest", "push"),
    *("via", "dirty", "port", "logdir"),
    *("gpus", "force"),
)
"""The options that the audit log shows; values of variables are none of them."""


def acts_as(
    choose: Callable[[Mapping[str, Any]], str],
) -> Callable[[Work[P, T]], Work[P, T]]:
    """Have a workflow done as an action, with all of its steps.

    Args:
        choose: Returns the action, as `policy.ACTIONS` has it, by the options given.
    """

    def decorate(work: Work[P, T]) -> Work[P, T]:
        @functools.wraps(work)
        def acting(
            sandbox: Sandbox, project: Project, *args: P.args, **options: P.kwargs
        ) -> T:
            shown = [f"{name}={options[name]}" for name in _NOTED if options.get(name)]
            text = " ".join([project.name, *shown])
            with sandbox.acting(choose(options), text) as view:
                return work(view, project, *args, **options)

        return cast("Work[P, T]", acting)

    return decorate
