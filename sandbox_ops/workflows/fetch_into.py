"""Where on this computer an agent may fetch to: below the clone, or where the user says."""

from pathlib import Path

from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.models import Project, SandboxConfig


def allowed_folder(folder: str, project: Project, config: SandboxConfig) -> str:
    """Return the folder that an agent named, "" for the clone; it leads nowhere else.

    Raises:
        UsageError: It would lead out of the local clone and of what the user allowed
            (`fetch_into`), or into a hidden folder; or there is no clone.
    """
    tops = [Path(top).resolve() for top in config.fetch_into]
    if project.root:
        tops.insert(0, Path(project.root).resolve())
    if not tops or not (project.root or folder):
        raise UsageError(
            "there is no local clone here to fetch into",
            NextStep("fetch", {"into": "/ABSOLUTE/FOLDER"}, "Fetch in a local shell"),
        )
    if not folder:
        return ""
    place = (tops[0] / folder).resolve()
    if not any(_is_below(place, top) for top in tops):
        raise UsageError(
            f"`into` must be a folder below {' or '.join(map(str, tops))}, and no "
            f"hidden one: {folder[:80]}",
            "Such as results/ or fetched/remote-1.",
        )
    return str(place)


def _is_below(place: Path, top: Path) -> bool:
    if not place.is_relative_to(top):
        return False
    return not any(part.startswith(".") for part in place.relative_to(top).parts)
