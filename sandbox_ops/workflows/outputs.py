"""The paths that a project declares as outputs. Pure."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

from sandbox_ops.errors import ConfigError
from sandbox_ops.models import Project


def patterns(project: Project) -> tuple[str, ...]:
    """Return the declared outputs as relative patterns without a slash at the end.

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
    return tuple(str(PurePosixPath(output)) for output in project.outputs)


def without(names: Iterable[str], kept: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that no pattern of `kept` covers."""
    return tuple(name for name in names if not _covered(name.rstrip("/"), kept))


def _covered(name: str, kept: tuple[str, ...]) -> bool:
    parents = (name, *map(str, PurePosixPath(name).parents))
    return any(fnmatchcase(each, pattern) for each in parents for pattern in kept)
