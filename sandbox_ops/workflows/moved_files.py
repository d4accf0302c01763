"""What a report says of files that came or went: the same of `fetch`, `put` and `fetch --push`."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedFile:
    """A file that came, was there already, or would come.

    Attributes:
        path: Relative to where it is fetched to.
        sha256: In a dry run as the run's record has it, or "".
        remote: Where it is on the sandbox, absolute.
        kept: Whether the very same file was here already.
        mtime: When it was written last, by the clock there; 0: not known.
    """

    path: str
    size_bytes: int
    sha256: str
    remote: str = ""
    kept: bool = False
    mtime: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The file as the `--json` of `fetch`, `put` and `fetch --push` shows it."""
        return {
            "path": self.path,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedFilesReport:
    """The files that one call moved, or would move.

    Attributes:
        sandbox: The name of the machine.
        files: Those that went, were there already (`kept`), or would go.
        warnings: What was left out, and why.
    """

    sandbox: str = ""
    files: tuple[MovedFile, ...]
    dry_run: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Always: whatever is wrong is an error."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `--json` shows it."""
        return {
            "sandbox": self.sandbox,
            "warnings": list(self.warnings),
            "files": [file.as_json() for file in self.files],
        }
