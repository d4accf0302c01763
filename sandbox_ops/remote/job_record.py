"""A job's record as the machine sent it: of the right types, or a reason why not. Pure.

A record that is damaged, or that is forged, is one job that is not known; it never
costs the answer about the others.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.errors import ProtocolError

RECORD_FORMAT = 1
_MOST_GPUS = 1024
_TEXTS = (
    "name",
    "command",
    "description",
    "cwd",
    "project_path",
    "started_by",
    "group",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """What a job was asked to be.

    Attributes:
        problem: Why the record cannot be read; then the rest is empty.
    """

    name: str = ""
    command: str = ""
    description: str = ""
    cwd: str = ""
    project_path: str = ""
    started_by: str = ""
    foreground: bool = False
    gpus: tuple[int, ...] = field(default=())
    group: str = ""
    cell: int = 0
    writes: tuple[str, ...] = field(default=())
    problem: str = ""


def read(data: bytes) -> JobRecord:
    """Return the record that some JSON is; with a `problem` where it is none.

    Raises:
        ProtocolError: It was written by a newer version of ours.
    """
    try:
        spec = json.loads(data)
    except (ValueError, RecursionError):
        return _unreadable("it is not JSON")
    if not isinstance(spec, dict):
        return _unreadable("it is no object")
    if not _is_count(spec.get("format", RECORD_FORMAT), 1 << 31):
        return _unreadable("its `format` is no number")
    if spec.get("format", RECORD_FORMAT) > RECORD_FORMAT:
        raise ProtocolError(
            "a job's record was written by a newer sandbox-ops",
            "Update this one: pip install --upgrade sandbox-ops",
        )
    return _checked(spec)


def _checked(spec: dict[str, Any]) -> JobRecord:
    texts = {name: spec.get(name, "") for name in _TEXTS}
    for name, value in texts.items():
        if not isinstance(value, str):
            return _unreadable(f"its `{name}` is no text")
    gpus, foreground = spec.get("gpus", []), spec.get("foreground", False)
    if not isinstance(foreground, bool):
        return _unreadable("its `foreground` is neither true nor false")
    few = isinstance(gpus, list) and len(gpus) <= _MOST_GPUS
    if not few or not all(_is_count(index, _MOST_GPUS) for index in gpus):
        return _unreadable("its `gpus` is no list of GPUs")
    cell = spec.get("cell", 0)
    if not _is_count(cell, 1 << 31):
        return _unreadable("its `cell` is no number")
    writes = spec.get("writes", [])
    if not isinstance(writes, list) or not all(isinstance(w, str) for w in writes):
        return _unreadable("its `writes` is no list of paths")
    return JobRecord(
        **texts,
        foreground=foreground,
        gpus=tuple(gpus),
        cell=cell,
        writes=tuple(writes),
    )


def _is_count(value: object, below: int) -> bool:
    return type(value) is int and 0 <= value < below


def _unreadable(why: str) -> JobRecord:
    return JobRecord(problem=f"its record cannot be read: {why}")
