"""Which machine a verb goes to by the jobs that it names: `gpu1:remote-3`."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox_ops.cli.face import Answer, Body
from sandbox_ops.errors import UsageError

Targets = Mapping[str, tuple[str, ...]]
"""The machines that are meant, each with what names the jobs there."""

_NAMES_A_JOB = ("job", "group", "after")
"""The options by which a verb is told of which job, or of which group."""


def on_its_machine(body: Body) -> Body:
    """Let a verb that goes to one machine take a job with it: `gpu1:remote-3`."""

    @functools.wraps(body)
    def where(context: Any, /, **options: Any) -> Answer:  # noqa: ANN401 - as Invoke calls it
        found = targets("", options)
        if len(found) > 1:
            raise UsageError(
                f"these are jobs of {' and '.join(found)}, and this takes those of one",
                "Name those of one machine.",
            )
        return body(context, **aimed(found, options))

    return where


def names_jobs(options: Mapping[str, Any]) -> bool:
    """Whether a verb was told of which job, or of which group."""
    return bool(_option(options))


def jobs_named(options: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the words by which a verb was told of jobs, or of a group."""
    named = options.get(_option(options), ())
    return (named,) if isinstance(named, str) else tuple(named)


def targets(on: str, options: Mapping[str, Any]) -> Targets:
    """Return which machines are meant, as `config.targets` has it.

    Raises:
        ConfigError: One is not described.
        UsageError: The words do not go together.
    """
    from sandbox_ops.cli import session
    from sandbox_ops.config import targets as reading

    jobs = jobs_named(options)
    sandbox = options.get("sandbox", "")
    if not on and not any(":" in job for job in jobs):
        return {sandbox: jobs}  # nothing to look up
    config = session.settings_here().config
    return reading.targets(config, sandbox=sandbox, on=on, jobs=jobs)


def aimed(found: Targets, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a verb for the one machine that is meant."""
    ((name, jobs),) = found.items()
    return on_machine(name, jobs, options)


def on_machine(
    name: str, jobs: Sequence[str], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options of a verb for one machine, and its jobs there."""
    changed = {**options, "sandbox": name}
    if option := _option(options):
        is_text = isinstance(options[option], str)
        changed[option] = jobs[0] if is_text else list(jobs)
    return changed


def _option(options: Mapping[str, Any]) -> str:
    return next((name for name in _NAMES_A_JOB if options.get(name)), "")
