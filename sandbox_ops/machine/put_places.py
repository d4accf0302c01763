"""What stands where files would go on a sandbox, and how much room there is."""

from dataclasses import dataclass

from sandbox_ops.git import porcelain
from sandbox_ops.git.runner import GIT_ENV
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.remote import script_replies


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A path there, as it is now.

    Attributes:
        kind: "none", "file", "folder" or "other".
        existing_folder: The nearest folder above it, or itself, that exists.
        is_writable: Whether we may write in that folder.
        free_bytes: On its disk.
        free_files: How many more files the disk takes; None where that is not counted.
        has_tar: Whether many files can be sent as one archive.
        tree: The work tree of git that it lies in; "" if none.
        is_ignored: Whether git ignores it there.
        tracked: What git tracks there, relative to `existing_folder`.
    """

    kind: str
    existing_folder: str
    is_writable: bool
    free_bytes: int
    free_files: int | None
    has_tar: bool
    tree: str
    is_ignored: bool
    tracked: frozenset[str]


def look(sandbox: Sandbox, path: str, *, as_folder: bool) -> Place:
    """Return what stands at a path there, where a file or a folder is to go.

    Raises:
        RefusedError: A file stands where a folder would have to be.
        SandboxError: As the link failed.
    """
    doing = f"look at {path} on {sandbox.config.label}"
    result = sandbox.script(
        "put_look",
        path,
        "folder" if as_folder else "file",
        env=GIT_ENV,
        keep_bytes=64 << 20,
        description=doing,
    )
    return place(script_replies.parse_result(result, doing))


def place(reply: script_replies.Reply) -> Place:
    """Return what put_look.sh said. Pure."""
    free_files = reply.get("free_files")
    return Place(
        kind=reply.need("kind"),
        existing_folder=reply.need("folder"),
        is_writable=reply.get("writable") == "yes",
        free_bytes=int(reply.get("free_bytes") or 0),
        free_files=int(free_files) if free_files.isdecimal() else None,
        has_tar=reply.get("tar") == "yes",
        tree=reply.get("tree"),
        is_ignored=reply.get("ignored") == "yes",
        tracked=frozenset(map(porcelain.unquote, reply.all("tracked"))),
    )
