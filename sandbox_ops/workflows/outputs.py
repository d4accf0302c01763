"""The paths that a project declares as outputs, and what a machine may send for them. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from sandbox_ops.errors import ConfigError
from sandbox_ops.machine.run_outputs import RUNS
from sandbox_ops.models import Project

_HOLE = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}")


def patterns(project: Project) -> tuple[str, ...]:
    """Return the declared outputs as relative patterns without a slash at the end.

    A `{hole}` stands for any name here: the outputs of every run.

    Raises:
        ConfigError: One is absolute, empty or leads out of the project; names it.
    """
    for output in project.outputs:
        parts = PurePosixPath(output).parts
        if not parts or output.startswith("/") or ".." in parts:
            raise ConfigError(
                f"`outputs` under [project] has {output!r}, which is not a path below "
                "the project",
                'Write it relative to the project: outputs = ["models/"]',
            )
    return of_run(project, {"run_dir": f"{RUNS}/*"})


def of_run(project: Project, values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the same with the holes that are known for one run filled."""

    def fill(output: str) -> str:
        return _HOLE.sub(lambda hole: values.get(hole[1], "*"), output)

    return tuple(str(PurePosixPath(fill(output))) for output in project.outputs)


def without(names: Iterable[str], kept: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that no pattern of `kept` covers."""
    return tuple(name for name in names if not _covered(name.rstrip("/"), kept))


def edits_without(edits: Iterable[str], kept: tuple[str, ...]) -> tuple[str, ...]:
    """Return those lines of `git status --short` that are about more than outputs."""
    return tuple(line for line in edits if without(line[3:].split(" -> "), kept))


def is_declared(path: str, declared: Sequence[str]) -> bool:
    """Whether a pattern names a path, or a folder that it lies in, as a shell would."""
    return any(_matches(path, pattern) for pattern in declared)


def left_out(path: str, declared: Sequence[str], tracked: Collection[str] = ()) -> str:
    """Return why a declared path is better not brought home; "" if nothing is wrong.

    A file with a leading dot is read by programs that nobody starts on purpose, a
    tracked one is the project's own. To keep one, declare it by its name.

    Args:
        path: As the machine names it.
        declared: The patterns.
        tracked: What git tracks here.
    """
    if path in declared:
        return ""
    if any(_matches(path, pattern, dots=False) for pattern in declared):
        return "git tracks it here" if path in tracked else ""
    return "its name begins with a dot"


def _matches(path: str, pattern: str, *, dots: bool = True) -> bool:
    """Whether a pattern covers a path, part by part.

    Args:
        path: A relative path.
        pattern: The same with `*`, `?` and `[...]`.
        dots: Whether a name with a leading dot needs no such pattern.
    """
    parts, wanted = PurePosixPath(path).parts, PurePosixPath(pattern).parts
    if len(parts) < len(wanted):
        return False
    if not all(map(fnmatchcase, parts, wanted)):  # as many as the pattern has
        return False
    named = [part.startswith(".") for part in wanted]
    named += [False] * (len(parts) - len(wanted))
    return dots or all(map(_visible, parts, named))


def _visible(part: str, named: bool) -> bool:
    return named or not part.startswith(".")


def _covered(name: str, kept: tuple[str, ...]) -> bool:
    parents = (name, *map(str, PurePosixPath(name).parents))
    return any(fnmatchcase(each, pattern) for each in parents for pattern in kept)
