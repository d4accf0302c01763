"""What of this computer an agent may send: files of the local clone, and no hidden ones."""

from fnmatch import fnmatchcase
from pathlib import Path

from sandbox_ops.errors import DeniedError, NextStep, UsageError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project, policy
from sandbox_ops.models.transfers import OnTransfer
from sandbox_ops.workflows import put_paths
from sandbox_ops.workflows.put import PutReport, put

_SHOWN = 80


def put_from_clone(
    sandbox: Sandbox,
    project: Project,
    path: str,
    dest: str = "",
    *,
    dry_run: bool = False,
    on_progress: OnTransfer | None = None,
) -> PutReport:
    """Send a file or a folder of the local clone; as `put`, and it replaces nothing.

    Raises:
        UsageError: The path leads out of the clone, or there is none.
        DeniedError: A file is hidden, or a link leads out of the clone.
        SandboxError: As `put` has it.
    """
    local = _allowed_path(path, project)
    for file in put_paths.local_files(local)[0]:
        _refuse_private(file.place, Path(project.root or ""))
    return put(
        sandbox,
        project,
        path=str(local),
        dest=dest,
        dry_run=dry_run,
        on_progress=on_progress,
    )


def _allowed_path(path: str, project: Project) -> Path:
    step = NextStep("put", {"path": path[:_SHOWN], "dest": "DEST"})
    if not project.root:
        raise UsageError("there is no local clone here to put files from", step)
    root = Path(project.root)
    local = (root / path).absolute()
    if ".." in Path(path).parts or not local.is_relative_to(root) or local == root:
        raise UsageError(
            f"`path` must be below the local clone {root}: {path[:_SHOWN]}", step
        )
    return local


def _refuse_private(place: Path, root: Path) -> None:
    """Refuse what people keep out of sight, and what is not of the project."""
    real, top = place.resolve(), root.resolve()
    hidden = any(part.startswith(".") for part in place.relative_to(root).parts)
    denied = any(fnmatchcase(str(real), pattern) for pattern in policy.DENY_READ)
    if hidden or denied or not real.is_relative_to(top):
        why = "may not be read by agents" if hidden or denied else "is a link out of it"
        raise DeniedError(
            f"{place.relative_to(root)} {why}; nothing was sent",
            NextStep("put", {"path": str(place.relative_to(root))}, "In a local shell"),
        )
