"""The audit log: what was asked of which machine, by whom, and what came of it.

A file of JSON lines on this computer, readable by its owner alone. What changes something
leaves a line before it is done (`intent`) and one after (`outcome`). Each line holds the
SHA-256 of the line before, also over a rotation, so that a line that was changed, removed
or put between shows (`verify`). What cannot be noted is not done, where it destroys. (Over 250
lines: writing, rotation and verifying agree on one chain.)
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sandbox_ops.errors import NotFoundError, RefusedError

FILE = "audit.jsonl"
ROTATE_BYTES = 8 << 20
KEPT_FILES = 4
"""So many older files stay beside the one that is written: `audit.jsonl.1` is the newest."""

_SUMMARY_CHARACTERS = 400
_START = "0" * 64
_TAIL_BYTES = 1 << 14


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks.

    Attributes:
        face: "cli", "mcp" or "python".
        client: What speaks through it: the name and version of an agent's host.
        session: One number for all that one process, or one client's session, asks.
    """

    face: str = "python"
    client: str = ""
    session: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of the log.

    Attributes:
        at: Seconds since 1970, by the clock of this computer.
        event: "intent" or "outcome".
        id: The same for the two lines of one act.
        action: run, start, stop, reset, fetch, upload, trust, ...
        summary: What was asked, secrets masked, cut to 400 characters.
        digest: SHA-256 of the whole of it.
        outcome: "exit 0", "remote-3", "error refused"; "" of an intent.
        previous: SHA-256 of the line before.
    """

    at: float
    event: str
    id: str
    face: str
    client: str
    session: str
    user: str
    pid: int
    sandbox: str
    host: str
    action: str
    summary: str
    digest: str
    outcome: str
    previous: str

    def as_json(self) -> dict[str, Any]:
        """The entry as `audit --json` shows it."""
        return {name: getattr(self, name) for name in self.__slots__}  # for each act


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether the log is whole.

    Attributes:
        entries: How many lines were read, over all files.
        broken: One line of words for each place where the chain breaks.
        open_intents: Acts whose outcome is not there: a process that was killed, or
            that is still at it.
    """

    entries: int
    broken: tuple[str, ...] = ()
    open_intents: int = 0

    @property
    def ok(self) -> bool:
        """Whether no line was changed, removed or put between."""
        return not self.broken

    def as_json(self) -> dict[str, Any]:
        """The verdict as `audit --verify --json` shows it."""
        return {"ok": self.ok, **asdict(self)}


class AuditLog:
    """Writes the log. Threads and processes may share the file.

    Args:
        path: The file; its folder is made.
        who: Who asks, in this process.
        mask: Takes secrets out of what is noted.
    """

    def __init__(
        self,
        path: Path,
        who: Who | None = None,
        mask: Callable[[str], str] | None = None,
    ) -> None:
        self.path = path
        self.who = who or Who()
        self._mask = mask or (lambda text: text)
        self._lock = threading.Lock()

    def begin(
        self, action: str, text: str, *, sandbox: str = "", host: str = ""
    ) -> str:
        """Note that something is about to be done; return the act's id.

        Raises:
            RefusedError: It cannot be noted; says why.
        """
        act = secrets.token_hex(8)
        self._write("intent", act, action, text, sandbox, host, "")
        return act

    def end(
        self, act: str, action: str, outcome: str, *, sandbox: str = "", host: str = ""
    ) -> None:
        """Note what came of it. The act is done: a failure to note it is no error."""
        with contextlib.suppress(RefusedError):
            self._write("outcome", act, action, "", sandbox, host, outcome)

    def _write(
        self,
        event: str,
        act: str,
        action: str,
        text: str,
        sandbox: str,
        host: str,
        outcome: str,
    ) -> None:
        try:
            with self._lock, self._open() as file:
                entry = Entry(
                    at=round(time.time(), 3),
                    event=event,
                    id=act,
                    face=self.who.face,
                    client=self.who.client,
                    session=self.who.session,
                    user=_user(),
                    pid=os.getpid(),
                    sandbox=sandbox,
                    host=host,
                    action=action,
                    summary=self._mask(text)[:_SUMMARY_CHARACTERS],
                    digest=hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
                    if text
                    else "",
                    outcome=outcome,
                    previous=_last_digest(file, self.path),
                )
                line = json.dumps(entry.as_json(), ensure_ascii=False) + "\n"
                _append(file, line.encode("utf-8", "replace"))
        except OSError as error:
            raise RefusedError(
                f"the audit log {self.path} cannot be written: {error.strerror}",
                "Nothing destructive is done without an entry there. Make room, or make "
                "the folder yours.",
            ) from error

    @contextlib.contextmanager
    def _open(self) -> Iterator[BinaryIO]:
        """Open the file for one line, locked against other processes; rotate it first."""
        while True:
            file = os.fdopen(self._descriptor(), "r+b", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
            facts = os.fstat(file.fileno())
            same = _is_named(facts, self.path)
            if same and facts.st_size < ROTATE_BYTES:
                break
            if same:
                _rotate(self.path)
            file.close()  # another process rotated it, or we did: open the new one
        with file:
            yield file

    def _descriptor(self) -> int:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            return os.open(self.path, flags, 0o600)
        except FileNotFoundError:  # the first line of all
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self.path, flags, 0o600)


def _append(file: BinaryIO, line: bytes) -> None:
    """Write a line whole, or not at all."""
    before = os.fstat(file.fileno()).st_size
    try:
        written = os.write(file.fileno(), line)
    except OSError:
        os.ftruncate(file.fileno(), before)
        raise
    if written != len(line):
        os.ftruncate(file.fileno(), before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _is_named(facts: os.stat_result, path: Path) -> bool:
    try:
        return os.path.samestat(facts, path.stat())
    except FileNotFoundError:
        return False


def _rotate(path: Path) -> None:
    for number in range(KEPT_FILES, 0, -1):
        older = _numbered(path, number - 1) if number > 1 else path
        with contextlib.suppress(FileNotFoundError):
            older.replace(_numbered(path, number))


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _last_digest(file: BinaryIO, path: Path) -> str:
    """Return the SHA-256 of the line before: of the file before, where this one is new."""
    line = _last_line(file)
    if line is None:
        with contextlib.suppress(OSError), _numbered(path, 1).open("rb") as before:
            line = _last_line(before)
    return hashlib.sha256(line).hexdigest() if line is not None else _START


def _last_line(file: Any) -> bytes | None:  # noqa: ANN401 - raw or buffered
    size = file.seek(0, os.SEEK_END)
    if not size:
        return None
    file.seek(max(0, size - _TAIL_BYTES))
    data: bytes = file.read(_TAIL_BYTES)
    return data.removesuffix(b"\n").rpartition(b"\n")[2]


def _user() -> str:
    return str(os.getuid())


def entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of all kept files, oldest first; what is no entry is left out.

    Raises:
        NotFoundError: There is no log yet.
    """
    for _, _, entry in _lines(path):
        if entry is not None:
            yield entry


def verify(path: Path) -> Verification:
    """Follow the chain through all kept files.

    Raises:
        NotFoundError: There is no log yet.
    """
    count = 0
    previous: str | None = None  # of the first kept line it is not known
    broken: list[str] = []
    pending: set[str] = set()
    for where, line, entry in _lines(path):
        count += 1
        if entry is None:
            broken.append(f"{where}: not an entry")
        elif previous is not None and entry.previous != previous:
            broken.append(f"{where}: the line before it was changed or removed")
        if entry is not None and entry.event == "intent":
            pending.add(entry.id)
        elif entry is not None:
            pending.discard(entry.id)
        previous = hashlib.sha256(line).hexdigest()
    return Verification(
        entries=count, broken=tuple(broken[:20]), open_intents=len(pending)
    )


def _lines(path: Path) -> Iterator[tuple[str, bytes, Entry | None]]:
    files = [_numbered(path, number) for number in range(KEPT_FILES, 0, -1)] + [path]
    there = [file for file in files if file.exists()]
    if not there:
        raise NotFoundError(f"there is no audit log yet: {path}")
    for file in there:
        with file.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                raw = line.removesuffix(b"\n")
                yield f"{file.name}:{number}", raw, _entry(raw)


def _entry(line: bytes) -> Entry | None:
    try:
        value = json.loads(line)
        return Entry(**value) if isinstance(value, Mapping) else None
    except (ValueError, TypeError):
        return None
