"""Files asked for by name: where on the machine they are, and where here they go. Pure.

A name is a path below the workspace or the home there, with `*`, `?` and `[...]` as a
shell has them. What is declared as an output keeps its place in the clone; all else goes
to a folder of its own, so that no file of a machine becomes a part of the project.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from sandbox_ops.errors import UsageError
from sandbox_ops.workflows.outputs import is_declared

FOLDER = "fetched"
"""Where in the local clone files come that no output declares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPath:
    """One path that was asked for.

    Attributes:
        root: The folder there, absolute, in which it is looked for.
        pattern: What it is called in that folder.
        to: Where here it goes, relative; "" for the target itself.
    """

    root: str
    pattern: str
    to: str = ""

    @property
    def path(self) -> str:
        """All of it, absolute."""
        return f"{self.root.rstrip('/')}/{self.pattern}"

    def names(self, path: str) -> bool:
        """Whether a path below `root` is what was asked for, or lies in it."""
        return is_declared(path, (self.pattern, glob_free(self.pattern)))


def glob_free(pattern: str) -> str:
    """Return a pattern that stands for just this name."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in pattern)


def named(
    path: str,
    *,
    project_path: str,
    workspace: str,
    home: str,
    outputs: tuple[str, ...],
    into: bool,
) -> NamedPath:
    """Return where a path is looked for, and where what is found there goes.

    Args:
        path: As it was asked for: absolute, below `~/`, or below the project.
        project_path: The project's folder there; "" where there is none.
        workspace: Of the machine.
        home: The user's home there.
        outputs: The declared outputs, as patterns.
        into: Whether a folder here was named; then a path keeps its last name alone.

    Raises:
        UsageError: It is no path below the workspace or the home; says what is.
    """
    wanted = absolute(path, project_path, home)
    tops = (workspace.rstrip("/"), home.rstrip("/"))
    if not any(PurePosixPath(wanted).is_relative_to(top or "/") for top in tops):
        raise UsageError(
            f"a file to fetch must be below {tops[0] or '/'} or {home}: {path[:300]}",
            "Copy it there first.",
        )
    if wanted.rstrip("/") in {*tops, ""}:
        raise UsageError(f"that is the whole of {wanted}", "Name a file or a folder.")
    below = wanted.removeprefix(f"{project_path}/") if project_path else wanted
    if not into and not below.startswith("/") and is_declared(below, outputs):
        return NamedPath(root=project_path, pattern=below)
    parts = PurePosixPath(wanted).parts
    with_signs = (n for n, part in enumerate(parts) if set(part) & set("*?["))
    fixed = min(next(with_signs, len(parts)), len(parts) - 1)
    return NamedPath(
        root=str(PurePosixPath(*parts[:fixed])),
        pattern=str(PurePosixPath(*parts[fixed:])),
        to="" if into else f"{FOLDER}/",
    )


def absolute(path: str, project_path: str, home: str) -> str:
    """Return a path there as an absolute one: from `~/`, or from the project on.

    Raises:
        UsageError: It is empty, has `..` in it, or is relative to no project.
    """
    text = path.strip()
    if not text or "\0" in text or ".." in text.split("/"):
        raise UsageError(f"a path there cannot be {path[:300]!r}", "Without `..`.")
    if text == "~" or text.startswith("~/"):
        text = f"{home}/{text[2:]}"
    elif not text.startswith("/"):
        if not project_path:
            raise UsageError(
                f"the path must be absolute: {path[:300]}", "There is no project here."
            )
        text = f"{project_path}/{text}"
    return str(PurePosixPath(text))


def left_out(to: str) -> str:
    """Return why a file must not come under a name here; "" if it may.

    Programs read files with a leading dot on their own.
    """
    hidden = any(part.startswith(".") for part in PurePosixPath(to).parts)
    return "its name begins with a dot" if hidden else ""
