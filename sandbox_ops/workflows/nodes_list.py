"""Which machines the runs over several machines of a clone are on: a file here.

`.git/sandbox-ops/nodes.jsonl`: JSON lines, readable by their owner alone, only ever added to;
of each name the last counts. So one name is enough for `logs`, `wait`, `stop` and the others.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sandbox_ops.errors import RefusedError, SandboxError
from sandbox_ops.git import local
from sandbox_ops.guard import line_file
from sandbox_ops.models import Project

_FILE = "sandbox-ops/nodes.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodesEntry:
    """A run over several machines.

    Attributes:
        name: Its one name.
        run: What tells it from others of that name.
        machines: In the order of their ranks; empty: the name is another's now.
        jobs: Their ids, by the machine, as far as they were told.
    """

    name: str
    run: str = ""
    machines: tuple[str, ...] = ()
    jobs: Mapping[str, str] = field(default_factory=dict)


def note(project: Project, entry: NodesEntry) -> None:
    """Write down a run; without a clone there is no place for it.

    Raises:
        RefusedError: It cannot be written.
    """
    path = _path(project)
    if path is None:
        return
    line = {
        "name": entry.name,
        "run": entry.run,
        "machines": list(entry.machines),
        "jobs": dict(entry.jobs),
        "at": time.time(),
    }
    try:
        line_file.add(path, line_file.encoded(line), durable=True)
    except OSError as error:
        raise RefusedError(
            f"cannot write the list of runs over several machines {path}: {error.strerror}"
        ) from error


def named(project: Project, name: str) -> NodesEntry | None:
    """Return the newest run of that name; None where it is none over several machines."""
    path = _path(project)
    if path is None:
        return None
    newest = None
    try:
        for line in line_file.lines(path):
            if line.get("name") == name:
                newest = line
    except OSError:
        return None
    if not newest or not newest.get("machines"):
        return None
    return NodesEntry(
        name=name,
        run=str(newest.get("run", "")),
        machines=tuple(map(str, newest["machines"])),
        jobs={str(k): str(v) for k, v in dict(newest.get("jobs") or {}).items()},
    )


def forget(project: Project, name: str) -> None:
    """Let the name be another's: of a job or a sweep that is started with it.

    Raises:
        RefusedError: It cannot be written.
    """
    if name and named(project, name):
        note(project, NodesEntry(name=name))


def _path(project: Project) -> Path | None:
    if not project.root:
        return None
    try:
        return local.common_folder(project.root) / _FILE
    except SandboxError:
        return None
