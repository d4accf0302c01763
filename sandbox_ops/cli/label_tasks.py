"""The verbs that say something of a run, or run it again, as Invoke tasks."""

import os
from collections.abc import Sequence
from typing import Any

from invoke import Context

from sandbox_ops.cli import option_values, run_options
from sandbox_ops.cli.face import Answer, verb
from sandbox_ops.cli.session import opened
from sandbox_ops.errors import UsageError


@verb(
    "changes",
    operand="RUN TEXT...",
    repeated=("run",),
    run=f"{run_options.RUN} Then the note, in quotes.",
    text="The note; an empty one takes it away.",
)
def note(
    context: Context,
    *,
    run: Sequence[str] | None = None,
    text: str | None = None,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Write a note about a run; it takes the place of the one before."""
    named, *text_words = run or [""]
    if text is None and not text_words:
        raise UsageError(
            "`note` needs a run and a text", 'sandbox-ops note remote-3 "diverged"'
        )
    note_text = " ".join(text_words) if text is None else text
    return _labelled(context, named, "note", sandbox, quiet=json, note=note_text)


@verb(
    "changes",
    operand="RUN TAG...",
    repeated=("run", "tag"),
    run=f"{run_options.RUN} Then the tags.",
    tag="A tag; may be repeated.",
)
def tag(
    context: Context,
    *,
    run: Sequence[str] | None = None,
    tag: Sequence[str] | None = None,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Give a run a tag, by which `runs --tag` finds it."""
    named, tags = _run_and_tags(run, tag, "tag")
    return _labelled(context, named, "tag", sandbox, quiet=json, tags=tags)


@verb(
    "changes",
    operand="RUN TAG...",
    repeated=("run", "tag"),
    run=f"{run_options.RUN} Then the tags.",
    tag="A tag; may be repeated.",
)
def untag(
    context: Context,
    *,
    run: Sequence[str] | None = None,
    tag: Sequence[str] | None = None,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Take a tag from a run."""
    named, tags = _run_and_tags(run, tag, "untag")
    return _labelled(context, named, "untag", sandbox, quiet=json, untags=tags)


@verb(
    "changes",
    operand="RUN",
    repeated=("env", "force"),
    run=run_options.RUN,
    name="A name for the new job; without it that of the run.",
    time="End it after 90, 90s, 30m, 8h, 2d or 1:30:00.",
    env="Give it this variable of yours, by its name; may be repeated.",
    env_file="Give it the variables of this file: NAME=VALUE lines.",
    force="Go on in spite of a refusal, by the name that it gave; may be repeated.",
)
def rerun(  # noqa: PLR0913 - one for each option
    context: Context,
    *,
    run: str = "",
    name: str = "",
    time: str = "",
    env: Sequence[str] | None = None,
    env_file: str = "",
    force: Sequence[str] | None = None,
    sandbox: str = "",
    json: bool = False,
) -> Answer:
    """Run the same commit, command and settings again; say what is not the same."""
    from sandbox_ops.cli import node_training, run_views, terminal
    from sandbox_ops.workflows import run_again
    from sandbox_ops.workflows.rerun import rerun as work

    wanted = run_options.needed([run] if run else [], 1, "rerun")[0]
    options: dict[str, Any] = {
        "name": name,
        "env": option_values.environment(env or (), env_file, os.environ),
        "time_s": option_values.seconds(time, "--time"),
        "force": tuple(force or ()),
    }
    with (
        opened(context, sandbox) as machine,
        terminal.busy("looking before the start", quiet=json),
    ):
        found = run_again.find(machine.sandbox, machine.project, wanted)
        if not found.machines:
            report = work(machine.sandbox, machine.project, found, **options)
            return Answer.of(report, lambda: run_views.rerun(report))
    return node_training.rerun(found, options, quiet=json)


def _labelled(
    context: Context,
    run: str,
    name: str,
    sandbox: str,
    *,
    quiet: bool,
    **label_changes: Any,  # noqa: ANN401 - as `label_run` takes it
) -> Answer:
    from sandbox_ops.cli import run_views, terminal
    from sandbox_ops.workflows.label_run import label_run

    wanted = run_options.needed([run] if run else [], 1, name)[0]
    with (
        run_options.machines_of(context, [wanted], sandbox) as machines,
        terminal.busy("asking", quiet=quiet),
    ):
        report = label_run(
            machines.sandboxes,
            machines.project,
            wanted,
            default=machines.default,
            **label_changes,
        )
    return Answer.of(report, lambda: run_views.labels(report))


def _run_and_tags(
    run_and_tags: Sequence[str] | None, tags: Sequence[str] | None, name: str
) -> tuple[str, tuple[str, ...]]:
    """The run, and the tags that stand after it or were given by `--tag`.

    Raises:
        UsageError: There is no run, or no tag.
    """
    run, *more = run_and_tags or [""]
    wanted = (*more, *(tags or ()))
    if not run or not wanted:
        raise UsageError(
            f"`{name}` needs a run and a tag", f"sandbox-ops {name} remote-3 baseline"
        )
    return run, wanted
