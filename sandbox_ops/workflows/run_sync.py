"""Brings what is remembered of runs up to date with a machine, and finds the run meant."""

import dataclasses
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sandbox_ops.config.project_name import project_name
from sandbox_ops.errors import (
    ConfigError,
    ConnectError,
    ConnectionLostError,
    ProtocolError,
    TimedOutError,
)
from sandbox_ops.machine import run_records
from sandbox_ops.machine.run_records import Place, RunPage, RunRecord
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState, Project
from sandbox_ops.models.runs import Run, text
from sandbox_ops.workflows import history_lines, run_labels, run_order
from sandbox_ops.workflows.history_lines import Line
from sandbox_ops.workflows.run_history import Remembered, RunHistory

_LATE = 100
"""So many numbers below the newest are looked at again: a record may come late."""

_COUNTING_S = 1800
"""So long after its end a run is looked at again: checksums of large files take time."""

_GONE = "its record is gone"
UNREACHABLE = (ConnectError, ConnectionLostError, TimedOutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The runs of a project, as they are known now.

    Attributes:
        runs: All of them, those that started last first.
        stores: The folders of records that were read just now.
        unreachable: Why a machine could not be asked, by its name.
        history: Where they are kept.
    """

    runs: tuple[Run, ...]
    unreachable: dict[str, str]
    stores: frozenset[str]
    history: RunHistory


def known_runs(sandboxes: Sequence[Sandbox], project: Project) -> Known:
    """Return every run of a project: what is remembered, brought up to date.

    Args:
        sandboxes: The machines to ask; of the others what is remembered counts.
        project: Whose runs; one without a name has those of all.

    Raises:
        RefusedError: The history cannot be read or written.
        SandboxError: A machine answered with an error.
    """
    history = RunHistory.of(project)
    remembered = history.read()
    unreachable: dict[str, str] = {}
    lines: list[Line] = []
    stores: set[str] = set()

    def ask(sandbox: Sandbox) -> "_Update | str":
        try:
            return _update(sandbox, remembered, project)
        except UNREACHABLE as error:
            return error.message

    with ThreadPoolExecutor(max(1, len(sandboxes))) as threads:
        for sandbox, update in zip(sandboxes, threads.map(ask, sandboxes), strict=True):
            if isinstance(update, str):
                unreachable[sandbox.config.name] = update
                continue
            remembered.runs |= update.runs
            remembered.labels += update.labels
            lines += update.lines
            stores.add(update.store)
    history.add(lines)
    labels = run_labels.applied(remembered.labels)
    labelled = (
        dataclasses.replace(run, note=labels[run.key][0], tags=labels[run.key][1])
        if run.key in labels
        else run
        for run in remembered.runs.values()
    )
    return Known(
        runs=tuple(run_order.newest_first(labelled)),
        unreachable=unreachable,
        stores=frozenset(stores),
        history=history,
    )


@dataclass(kw_only=True)
class _Update:
    """What one machine said: runs by key, labels, and the lines to remember them by."""

    store: str
    runs: dict[str, Run]
    labels: list[run_labels.Label]
    lines: list[Line]


def _update(sandbox: Sandbox, remembered: Remembered, project: Project) -> _Update:
    """Ask a machine what is new of its runs, and how those are that had not ended."""
    name, now = sandbox.config.name, time.time()
    pages, known = _pages(sandbox, remembered)
    last = pages[-1].place
    update = _Update(store=last.store, runs={}, labels=[], lines=[])
    for page in pages:
        _take(update, page, known, sandbox, project)
    runs = known | update.runs
    living = {run.number: run for run in runs.values() if not run.job.state.ended}
    states = run_records.states(sandbox, living)
    for run in living.values():
        job = states.get(run.job.id) or _without_record(run.job)
        update.runs[run.key] = dataclasses.replace(
            run, sandbox=name, job=job, seen_at=now, is_current=True
        )
    news = (run for run in update.runs.values() if _is_news(known.get(run.key), run))
    update.lines += map(history_lines.run_line, news)
    update.lines += map(history_lines.label_line, update.labels)
    if history_lines.is_worth_a_line(remembered.places.get(last.store), last, now):
        update.lines.append(history_lines.place_line(name, last, now))
    return update


def _pages(
    sandbox: Sandbox, remembered: Remembered
) -> tuple[list[RunPage], dict[str, Run]]:
    """Return what is new there, and the runs by key that were known of that store."""
    store = remembered.stores.get(sandbox.config.name, "")
    for _ in range(2):
        place, _at = remembered.places.get(store, (Place(store=store), 0.0))
        known = {k: run for k, run in remembered.runs.items() if run.store == store}
        numbers = {run.number for run in known.values() if not _may_grow(run)}
        waiting = {run.number for run in known.values() if _may_begin(run)}
        page = run_records.look(sandbox, place, _late(place, numbers, waiting))
        if page.place.store == store:
            break
        store = page.place.store  # the first look, or another folder of records
    pages = [page]
    while pages[-1].place.seen < pages[-1].newest:
        pages.append(run_records.look(sandbox, pages[-1].place))
        if pages[-1].place.seen <= pages[-2].place.seen:
            raise ProtocolError(
                f"{sandbox.config.label} does not say which runs it has"
            )
    return pages, known


def _may_grow(run: Run) -> bool:
    """Whether what a run wrote may still be counted, after its end."""
    is_new = time.time() - (run.job.ended_at or 0) < _COUNTING_S
    is_counted = bool(run.outputs) and all(file.get("sha256") for file in run.outputs)
    return run.job.state.ended and not is_counted and is_new


def _may_begin(run: Run) -> bool:
    """Whether its record gets its GPUs yet: it had not begun when it was seen last."""
    return run.job.state in (JobState.QUEUED, JobState.STARTING)


def _late(place: Place, known: Iterable[int], waiting: Iterable[int]) -> list[int]:
    """Return the numbers below the last look to look at again.

    Args:
        place: Up to where was looked.
        known: Those of which all is known.
        waiting: Those whose records were not complete.
    """
    window = range(max(1, place.seen - _LATE + 1), place.seen + 1)
    return sorted(set(window) - set(known) | set(waiting)) if place.store else []


def _take(
    update: _Update,
    page: RunPage,
    known: Mapping[str, Run],
    sandbox: Sandbox,
    project: Project,
) -> None:
    """Take in a page: the runs of the project, with the metrics that are known already."""
    for record in page.runs.values():
        if not is_of_project(record, project):
            continue
        run = Run(
            sandbox=sandbox.config.name,
            store=page.place.store,
            job=record.job,
            record=record.record,
            outputs=record.outputs,
            seen_at=time.time(),
        )
        if before := known.get(run.key):
            run = dataclasses.replace(
                run,
                metrics=before.metrics,
                best=before.best,
                is_sampled=before.is_sampled,
            )
        update.runs[run.key] = run
    update.labels += run_labels.of_lines(page.place.store, page.labels)


def is_of_project(record: RunRecord, project: Project) -> bool:
    """Whether a run is one of the project's: of its repository, or in its folder. Pure."""
    if not project.name:
        return True
    repo = text(record.record.get("repo"))
    try:
        name = project_name(repo) if repo else ""
    except ConfigError:
        name = ""
    folder = record.job.project_path or text(record.record.get("cwd"))
    return project.name in {name, folder.rstrip("/").rpartition("/")[2]}


def _without_record(job: Job) -> Job:
    return dataclasses.replace(job, state=JobState.UNKNOWN, reason=_GONE)


def _is_news(before: Run | None, run: Run) -> bool:
    if before is None:
        return True
    return _facts(before) != _facts(run)


def _facts(run: Run) -> tuple[object, ...]:
    return (
        run.job.state,
        run.job.reason,
        run.sandbox,
        run.outputs,
        run.record.get("gpus"),
    )
