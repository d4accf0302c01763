"""The workflow tools: read the arguments, call the verb's function, say what it did.

They block, some for an hour: each gets a thread of a pool that is theirs alone, so that
the other tools never wait behind them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcp_adapter import next_calls, reports
from mcp_adapter import workflow_catalog as catalog
from mcp_adapter.answers import Answer
from mcp_adapter.marks import Calls
from sandbox_ops.errors import SandboxError, UsageError
from sandbox_ops.models import Project
from sandbox_ops.text import formatting

if TYPE_CHECKING:
    from sandbox_ops.sandbox import Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Here:
    """Where a workflow works.

    Attributes:
        project: The project around the server, as it is now.
        tell: Takes a line about how far it is, for the next heartbeat.
        calls: How the next calls are written.
    """

    sandbox: "Sandbox"
    project: Project
    tell: Callable[[str], None]
    calls: Calls


Given = Mapping[str, Any]


def call(tool: str, here: Here, given: Given) -> Answer:
    """Return what a workflow tool says.

    Raises:
        SandboxError: As its verb does, with calls as hints.
    """
    try:
        return _WORK[tool](here, given)
    except SandboxError as problem:
        hint = next_calls.translated(problem.hint, here.calls.sandbox)
        raise type(problem)(problem.message, hint) from problem


def _setup(here: Here, _given: Given) -> Answer:
    from sandbox_ops.workflows.setup import setup

    report = setup(
        here.sandbox,
        here.project,
        on_step=lambda step: here.tell(f"{step.name}: {step.result}"),
    )
    return reports.setup(report, here.calls)


def _sync(here: Here, given: Given) -> Answer:
    from sandbox_ops.workflows.sync import sync

    report = sync(here.sandbox, here.project, push=given["push"])
    return reports.sync(report, here.calls)


def _train(here: Here, given: Given) -> Answer:
    from sandbox_ops.workflows.train import train

    timeout = given["timeout"]
    if timeout is not None and timeout < 1:
        raise UsageError("`timeout` must be at least 1, in milliseconds")
    report = train(
        here.sandbox,
        here.project,
        command=given["command"],
        name=given["name"],
        settings=given["settings"] or {},
        time_s=timeout / 1000 if timeout else None,
        gpus=given["gpus"],
        force=given["force"] or (),
    )
    return reports.train(report, here.calls)


def _monitor(here: Here, _given: Given) -> Answer:
    from sandbox_ops.workflows.monitor import monitor

    project = here.project if here.project.name else None
    return reports.monitor(monitor(here.sandbox, project), here.calls)


def _reset(here: Here, given: Given) -> Answer:
    from sandbox_ops.workflows.reset import reset

    report = reset(here.sandbox, here.project, dry_run=not given["confirm"])
    return reports.reset(report, here.calls)


def _fetch(here: Here, given: Given) -> Answer:
    from sandbox_ops.workflows.fetch import fetch

    def progress(path: str, done: int, size: int) -> None:
        here.tell(f"{path}: {formatting.size(done)} of {formatting.size(size)}")

    report = fetch(
        here.sandbox,
        here.project,
        job=given["bash_id"],
        into=inside(given["into"], here.project.root),
        dry_run=given["dry_run"],
        on_progress=progress,
    )
    return reports.fetch(report, here.calls)


def inside(folder: str, root: str | None) -> str:
    """Return a folder of the local clone; what a model says may not lead out of it.

    Raises:
        UsageError: It would, or into git's own files, or there is no clone.
    """
    if not root:
        raise UsageError(
            "there is no local clone here to fetch into",
            "Fetch in a local shell: sandbox-ops fetch --into /ABSOLUTE/FOLDER",
        )
    if not folder:
        return ""
    top = Path(root).resolve()
    place = (top / folder).resolve()
    hidden = (
        any(part.startswith(".") for part in place.relative_to(top).parts)
        if (place.is_relative_to(top))
        else True
    )
    if hidden:
        raise UsageError(
            f"`into` must be a folder below {root}, and no hidden one: {folder[:80]}",
            "Such as results/ or fetched/remote-1.",
        )
    return str(place)


def _stop(here: Here, given: Given) -> Answer:
    from sandbox_ops.machine import jobs

    job_id = given["bash_id"].strip()
    if not given["confirm"]:
        return reports.would_stop(jobs.get(here.sandbox, job_id), here.calls)
    return reports.stop(jobs.stop(here.sandbox, job_id), here.calls)


_WORK: dict[str, Callable[[Here, Given], Answer]] = {
    catalog.SETUP.name: _setup,
    catalog.SYNC.name: _sync,
    catalog.TRAIN.name: _train,
    catalog.MONITOR.name: _monitor,
    catalog.RESET.name: _reset,
    catalog.FETCH.name: _fetch,
    catalog.STOP.name: _stop,
}
