"""Files on a sandbox. Frozen values, no I/O."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSlice:
    """Some lines of a remote file, with where they stand in it.

    Attributes:
        lines: Without their line ends.
        first_line: The number of the first of them: 1-based, or negative and counted
            from the end where the file's line count is not known.
        total_lines: None where counting them would have meant reading it all.
        at_end: Whether the slice reaches the end of the file.
        cut: Whether lines were left out because the slice became too large.
    """

    path: str
    lines: tuple[str, ...]
    first_line: int
    total_lines: int | None
    size_bytes: int
    at_end: bool
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a machine says of one path.

    Attributes:
        mode: Type and permissions, as `stat.S_ISDIR` and its like read them.
        owner: The user id there.
        mtime: Seconds since 1970 by the machine's clock.
        target: Where a symbolic link leads; None where it is none.
    """

    path: str
    mode: int
    size_bytes: int
    owner: int
    mtime: float
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file below a directory of the machine.

    Attributes:
        path: Relative to that directory.
        mtime: Seconds since 1970 by the machine's clock.
        sha256: Hexadecimal; "" where it was not asked for.
    """

    path: str
    size_bytes: int
    mtime: float
    sha256: str = ""
