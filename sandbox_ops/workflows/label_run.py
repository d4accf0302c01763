"""note, tag and untag: what a user writes about a run, kept on its machine and in the clone."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sandbox_ops.errors import NotFoundError, RefusedError
from sandbox_ops.machine import run_records
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.runs import Run, reference
from sandbox_ops.workflows import history_lines, run_find, run_labels, run_sync
from sandbox_ops.workflows.run_labels import Label


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReport:
    """A run as it is labelled now.

    Attributes:
        warnings: That it is kept in this clone alone, and why.
    """

    run: Run
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Always."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `note --json` and `tag --json` show it."""
        return {
            "id": self.run.job.id,
            "sandbox": self.run.sandbox,
            "tags": list(self.run.tags),
            "note": self.run.note,
            "warnings": list(self.warnings),
        }


def label_run(
    sandboxes: Sequence[Sandbox],
    project: Project,
    run: str,
    *,
    note: str | None = None,
    tags: Sequence[str] = (),
    untags: Sequence[str] = (),
    default: str = "",
) -> LabelReport:
    """Say something of a run: every client of its machine reads it from then on.

    Args:
        sandboxes: The machines to ask.
        project: Whose runs.
        run: Its id, number or name, `last`, `t1/3`, or `gpu1:remote-3`.
        note: Takes the place of the note that it had; "" takes it away. None: it stays.
        tags: To add.
        untags: To take away.
        default: The machine that an id belongs to where none is named.

    Raises:
        UsageError: A tag or the note will not do.
        NotFoundError: There is no such run.
        RefusedError: It can be written neither there nor here.
        DeniedError: The machine's mode does not allow it.
    """
    now = time.time()
    checked = [] if note is None else [run_labels.new("", now, "note", note)]
    checked += [run_labels.new("", now, "tag", tag) for tag in tags]
    checked += [run_labels.new("", now, "untag", tag) for tag in untags]
    known = run_sync.known_runs(sandboxes, project)
    names = tuple({each.sandbox for each in known.runs})
    one = run_find.find(known.runs, reference(run, names), default)
    labels = [replace(label, run=one.key) for label in checked]
    why = _write_there(sandboxes, known, one, labels)
    if why and known.history.path is None:
        raise RefusedError(f"it cannot be kept: {why}, and this is no clone")
    if why:
        known.history.add(map(history_lines.label_line, labels))
        why = f"kept in this clone alone: {why}"
    before = [Label(run=one.key, at=0, kind="note", value=one.note)]
    before += [Label(run=one.key, at=0, kind="tag", value=tag) for tag in one.tags]
    note_now, tags_now = run_labels.applied([*before, *labels])[one.key]
    labelled = replace(one, note=note_now, tags=tags_now)
    warnings = [why] if why else []
    warnings += [
        f"{one.job.id} has no tag `{tag}`" for tag in untags if tag not in one.tags
    ]
    return LabelReport(run=labelled, warnings=tuple(warnings))


def _write_there(
    sandboxes: Sequence[Sandbox],
    known: run_sync.Known,
    run: Run,
    labels: Sequence[Label],
) -> str:
    """Write labels on the run's machine; return why that cannot be, or ""."""
    sandbox = next((s for s in sandboxes if s.config.name == run.sandbox), None)
    if sandbox is None or run.store not in known.stores:
        return f"{run.sandbox} was not asked, or is another machine now"
    try:
        with sandbox.acting("label", run.job.id) as view:
            for label in labels:
                line = run_labels.machine_line(run.job.id, label)
                run_records.label(view, run.job.id, line)
    except run_sync.UNREACHABLE as error:
        return f"{run.sandbox} cannot be reached: {error.message}"
    except NotFoundError:
        return f"the record of {run.job.id} was pruned there"
    return ""
