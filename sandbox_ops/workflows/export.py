"""export: runs as files for other programs: CSV, JSON, or folders as MLflow keeps them."""

import csv
import datetime as dt
import io
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sandbox_ops.errors import NextStep, RefusedError, UsageError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.models.runs import Run
from sandbox_ops.text import formatting, remote_text
from sandbox_ops.workflows import run_metrics, run_mlflow, run_sync
from sandbox_ops.workflows.run_choice import selected
from sandbox_ops.workflows.run_query import RunQuery

Format = Literal["csv", "json", "mlflow"]
FORMATS = ("csv", "json", "mlflow")
_FIELDS = (
    "id", "sandbox", "name", "group", "state", "exit_code", "commit", "started_at",
    "elapsed_s", "tags", "note",
)  # fmt: skip
_GROUPS = ("settings", "metrics", "best")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportReport:
    """What was exported.

    Attributes:
        into: The file or folder; "": `text` is all of it.
        text: What goes to standard output where no file was named.
        unreachable: Why a machine could not be asked, by its name.
    """

    format: Format
    into: str
    runs: int
    text: str = ""
    unreachable: dict[str, str]

    @property
    def ok(self) -> bool:
        """Always."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `export --json` shows it."""
        return {
            "format": self.format,
            "into": self.into,
            "runs": self.runs,
            "unreachable": dict(self.unreachable),
        }


def export(
    sandboxes: Sequence[Sandbox],
    project: Project,
    query: RunQuery | None = None,
    *,
    to_format: str = "csv",
    into: str = "",
    overwrite: bool = False,
) -> ExportReport:
    """Write runs for other programs.

    Args:
        sandboxes: The machines to ask; none of them: what the clone remembers.
        project: Whose runs.
        query: Which of them; None: all.
        to_format: "csv", "json", or "mlflow": the folders of MLflow's file store.
        into: A file, of "mlflow" a folder, here; "": the text is in the report.
        overwrite: Replace a file that is there.

    Raises:
        UsageError: There is no such format, or no folder for "mlflow".
        RefusedError: The file is there, or cannot be written.
    """
    if to_format not in FORMATS:
        raise UsageError(
            f"there is no format `{to_format}`", f"One of: {', '.join(FORMATS)}"
        )
    if to_format == "mlflow" and not into:
        raise UsageError(
            "`mlflow` needs a folder",
            NextStep("export", {"format": "mlflow", "into": "mlruns"}, "For example"),
        )
    file = Path(into).expanduser().absolute() if into else None
    if file is not None and to_format != "mlflow" and file.exists() and not overwrite:
        raise RefusedError(
            f"{file} is there already",
            NextStep("export", {"into": into, "overwrite": True}, "Replace it"),
        )
    known = run_sync.known_runs(sandboxes, project)
    runs, _ = selected(
        query or RunQuery(limit=0),
        known.runs,
        lambda each: run_metrics.with_metrics(known, each, sandboxes, project),
    )
    text = ""
    if to_format == "mlflow" and file is not None:
        courses = run_metrics.courses(known, runs, sandboxes, project)
        _writing(file, lambda: run_mlflow.write(file, project.name, runs, courses))
    else:
        text = as_csv(runs) if to_format == "csv" else as_json(runs)
    if file is not None and text:
        _writing(file, lambda: _write(file, text))
        text = ""
    return ExportReport(
        format=to_format,  # type: ignore[arg-type]  # checked above
        into=str(file or ""),
        runs=len(runs),
        text=text,
        unreachable=known.unreachable,
    )


def as_json(runs: Sequence[Run]) -> str:
    """Return the runs as JSON, with their records. Pure."""
    values = [{**run.as_json(), "record": dict(run.record)} for run in runs]
    safe = formatting.finite(remote_text.safe_value({"runs": values}))
    return json.dumps(safe, indent=1, allow_nan=False) + "\n"


def as_csv(runs: Sequence[Run]) -> str:
    """Return the runs as a table: a row each, a column for each setting and metric. Pure."""
    values = [remote_text.safe_value(run.as_json()) for run in runs]
    columns = {
        group: dict.fromkeys(name for value in values for name in value[group])
        for group in _GROUPS
    }
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(
        [*_FIELDS, *(f"{group}.{name}" for group in _GROUPS for name in columns[group])]
    )
    for value in values:
        started, tags = value["started_at"], " ".join(value["tags"])
        row = value | {"started_at": _time(started), "tags": tags}
        cells = [row[name] for name in _FIELDS]
        cells += [
            value[group].get(name) for group in _GROUPS for name in columns[group]
        ]
        writer.writerow(map(_cell, cells))
    return table.getvalue()


def _cell(value: object) -> object:
    """Return a value as a spreadsheet may read it: text of a machine is no formula."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def _time(at: float | None) -> str:
    if at is None:
        return ""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="seconds")


def _write(file: Path, text: str) -> None:
    """Write a file beside its place, then move it there."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        beside.write_text(text, "utf-8")
        os.replace(beside, file)  # noqa: PTH105
    finally:
        beside.unlink(missing_ok=True)


def _writing(file: Path, write: Any) -> None:  # noqa: ANN401 - a function
    try:
        write()
    except OSError as error:
        raise RefusedError(f"{file} cannot be written: {error.strerror}") from error
