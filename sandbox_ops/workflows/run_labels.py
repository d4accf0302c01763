"""What people say of runs: a note, tags. Lines that are added up, the newest counts. Pure.

They lie on the machine, where every client of it reads them, and in the history of the clone
where the machine is gone; a run's labels are those of both, in the order of their time.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from sandbox_ops.errors import UsageError
from sandbox_ops.models import runs

MAX_NOTE = 1000
Kind = Literal["note", "tag", "untag"]
_KINDS = ("note", "tag", "untag")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One thing that was said.

    Attributes:
        run: The key of the run.
        at: When, by the clock of who said it.
        value: The note ("" takes it away), or the tag.
    """

    run: str
    at: float
    kind: Kind
    value: str

    def as_json(self) -> dict[str, Any]:
        """The label as a line of a file holds it."""
        return asdict(self)


def of_line(line: Mapping[str, Any]) -> Label:
    """Return the label that a value is.

    Raises:
        ValueError, KeyError, TypeError: It is none.
    """
    kind = line["kind"]
    if kind not in _KINDS:
        raise ValueError(kind)
    value = str(line["value"])[:MAX_NOTE]
    return Label(run=str(line["run"]), at=float(line["at"]), kind=kind, value=value)


def of_lines(store: str, lines: Iterable[str]) -> Iterable[Label]:
    """Yield the labels that lines of a machine are; what is none is left out."""
    for line in lines:
        try:
            yield of_line(
                {**json.loads(line), "run": f"{store}/{json.loads(line)['id']}"}
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            continue


def machine_line(job_id: str, label: Label) -> str:
    """Return a label as a line of the machine's file."""
    record = {"id": job_id, "at": label.at, "kind": label.kind, "value": label.value}
    return json.dumps(record)


def check_note(text: str) -> str:
    """Return a note.

    Raises:
        UsageError: It is too long.
    """
    if len(text) > MAX_NOTE:
        raise UsageError(f"a note has at most {MAX_NOTE} characters, not {len(text)}")
    return text


def applied(labels: Iterable[Label]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return the note and the tags of each run that something was said of, by its key."""
    notes: dict[str, str] = {}
    tags: dict[str, dict[str, None]] = {}
    for label in sorted(labels, key=lambda each: each.at):
        if label.kind == "note":
            notes[label.run] = label.value
        elif label.kind == "tag":
            tags.setdefault(label.run, {})[label.value] = None
        else:
            tags.setdefault(label.run, {}).pop(label.value, None)
    return {
        key: (notes.get(key, ""), tuple(tags.get(key, ()))) for key in {*notes, *tags}
    }


def new(key: str, at: float, kind: Kind, value: str) -> Label:
    """Return a label.

    Raises:
        UsageError: The tag or the note will not do.
    """
    checked = check_note(value) if kind == "note" else runs.check_tag(value)
    return Label(run=key, at=at, kind=kind, value=checked)
