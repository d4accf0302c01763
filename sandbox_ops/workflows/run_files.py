"""The files that a run is going to write: what is declared of it, and what it may not share.

Two runs at once that write the same file leave one result of two. What can be seen before
the start is refused: a declared output that is a single file, and a declared path that the
command names. What a program calls its files by itself, or through variables, is not seen. Pure.
"""

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from sandbox_ops.errors import NextStep
from sandbox_ops.machine.run_outputs import RUNS
from sandbox_ops.models import Job, Project
from sandbox_ops.workflows import outputs, preflight, record
from sandbox_ops.workflows.train_objections import Objection

_READS = re.compile(
    r"-*(?:resume|load|init|from|pretrained|input|data|config|eval|base)(?![a-z])",
    re.IGNORECASE,
)
"""Options whose name says that their path is read: several runs may share it."""

_NO_PATH = frozenset("$`*?[{}")


def declared(
    project: Project, command: str, settings: Mapping[str, str], name: str
) -> tuple[str, ...]:
    """Return the declared outputs of one run; `{job}` is left to the machine, which knows it."""
    seed = record.seed(command)
    values = {
        **({} if seed is None else {"seed": str(seed)}),
        "name": name or "{job}",
        **settings,
        "job": "{job}",
        "run_dir": f"{RUNS}/{{job}}",
    }
    safe = {hole: value for hole, value in values.items() if _is_part(value)}
    return outputs.of_run(project, safe)


def _is_part(value: str) -> bool:
    """Whether a value may stand in a path that has to stay below the project."""
    return value.isprintable() and ".." not in value.split("/") and value != ""


def request(root: str, clone: str, patterns: Iterable[str]) -> str:
    """Return the file of the job's folder that lib/outputs.sh reads.

    Args:
        root: The tree that the run works in.
        clone: The project's clone, in which run folders are made.
        patterns: The declared outputs, as `declared` has them.
    """
    return "".join(f"{line}\n" for line in (root, f"{clone}/{RUNS}", *patterns))


def written(command: str, root: str, patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the declared paths, absolute, that a run will write so far as can be seen.

    Args:
        command: Filled, as the shell gets it.
        root: The tree that the run works in, which is its working directory.
        patterns: The declared outputs, as `declared` has them.
    """
    patterns = tuple(patterns)
    files = {
        each
        for each in patterns
        if PurePosixPath(each).suffix and not _is_variable(each)
    }
    wanted = tuple(each.replace("{job}", "*") for each in patterns)
    named = {
        path
        for word in _paths(command)
        if (path := _below(word, root)) and outputs.is_declared(path, wanted)
    }
    return tuple(f"{root}/{path}" for path in sorted(files | named))


def _is_variable(path: str) -> bool:
    return bool(_NO_PATH & set(path))


def _paths(command: str) -> Iterable[str]:
    """Yield the words, and the values of options, that a program may take for its output."""
    try:
        command_words = shlex.split(command)
    except ValueError:  # bash will say what is wrong with it
        return
    option = ""
    for word in command_words:
        key, sign, value = word.partition("=")
        path = value if sign else word
        if not _READS.match(key if sign else option) and not _is_variable(path):
            yield path
        option = word if word.startswith("-") and not sign else ""


def _below(word: str, root: str) -> str:
    """Return a path below the tree, relative to it; "" for any other word."""
    path = PurePosixPath(word.removeprefix(f"{root}/"))
    inside = path.parts and not path.is_absolute() and ".." not in path.parts
    return str(path) if inside else ""


def shared(
    paths: Iterable[str], jobs: Iterable[Job], root: str
) -> tuple[Objection, ...]:
    """Return that runs which have not ended write the same files, if they do."""
    wanted = frozenset(paths)
    clashes = [
        (path.removeprefix(f"{root}/"), job)
        for job in preflight.live(jobs)
        for path in job.writes
        if path in wanted
    ]
    if not clashes:
        return ()
    lines = [
        f"{path} is written by {job.id} {job.name}".rstrip() for path, job in clashes
    ]
    wait = NextStep(
        "wait",
        {"job": clashes[0][1].id},
        "Give each run a path of its own, with {job} or {run_dir} in it; or wait",
    )
    return (Objection(force="same-output", message="\n".join(lines), hint=wait),)


def shared_within(
    writes: Mapping[str, Iterable[str]], root: str
) -> tuple[Objection, ...]:
    """Return that runs which are about to start write the same files, if they do.

    Args:
        writes: The paths of each run, by its name.
        root: The tree that they work in.
    """
    owners: dict[str, list[str]] = {}
    for name, paths in writes.items():
        for path in paths:
            owners.setdefault(path, []).append(name)
    clashes = {path: names for path, names in owners.items() if len(names) > 1}
    if not clashes:
        return ()
    lines = (
        f"{path.removeprefix(f'{root}/')} would be written by {', '.join(names)}"
        for path, names in clashes.items()
    )
    see = NextStep(
        "train",
        {"dry_run": True},
        "Give each run a path of its own, with {job} or {run_dir} in it, or a setting that"
        " differs; see what would start",
    )
    return (Objection(force="same-output", message="\n".join(lines), hint=see),)
