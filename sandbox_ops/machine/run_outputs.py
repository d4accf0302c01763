"""What a run wrote, as the machine recorded it at the run's end (scripts/lib/outputs.sh)."""

import os
import re
from dataclasses import dataclass

from sandbox_ops.errors import ProtocolError
from sandbox_ops.machine.pause import until
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.remote import job_replies

RUNS = "runs"
"""The folder of a clone in which run folders are made."""

_ANSWER_S = 120.0
_WAIT_S = 60.0
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MOST_DIGITS = 18
_FACTS = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutput:
    """A file that a run wrote.

    Attributes:
        path: Below the project, or below the run's folder as `runs/ID/...`.
        remote: Where it is on the sandbox, absolute.
        mtime: When it was written last, in seconds since 1970 by the machine's clock.
        sha256: "" where no checksum was taken.
    """

    path: str
    remote: str
    size_bytes: int
    mtime: int
    sha256: str = ""

    def as_json(self) -> dict[str, str | int]:
        """The file as every `--json` shows it."""
        return {"path": self.path, "size_bytes": self.size_bytes, "sha256": self.sha256}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutputs:
    """All that a run wrote, so far as it is known.

    Attributes:
        files: In the order of their paths.
        root: The tree that the run works in; "" where none was named.
        run_dir: The run's own folder, absolute; "" where there is none.
        n_skipped: How many files are not in the record: too many of them, or names with
            control characters.
        is_pending: The checksums are being taken.
        is_listed: It is known which files there are; before that there are none here.
        is_live: It has not ended: there is no record yet.
    """

    files: tuple[RunOutput, ...] = ()
    root: str = ""
    run_dir: str = ""
    n_skipped: int = 0
    is_pending: bool = False
    is_listed: bool = True
    is_live: bool = False

    @property
    def n_without_sum(self) -> int:
        """How many have no checksum: they were too large for the time, or it is too early."""
        return sum(not file.sha256 for file in self.files)

    @property
    def size_bytes(self) -> int:
        """All of them together."""
        return sum(file.size_bytes for file in self.files)


def read(
    sandbox: Sandbox, job_id: str, *, wait_s: float = _WAIT_S
) -> RunOutputs | None:
    """Return what an ended run wrote; None where no record is made of it.

    Args:
        sandbox: Where it ran.
        job_id: Which run.
        wait_s: So long it is waited for the checksums; then what is known is returned.

    Raises:
        ProtocolError: The machine's record cannot be read.
    """

    def recorded() -> tuple[str, bytes] | None:
        sandbox.cancel_token.check()
        answer = _ask(sandbox, job_id)
        return None if answer[0] == "pending" else answer

    state, data = until(recorded, timeout_s=wait_s) or _ask(sandbox, f"{job_id} now")
    return None if state == "none" else parse(data, is_pending=state == "pending")


def changed(sandbox: Sandbox, job_id: str) -> frozenset[str]:
    """Return which recorded files are gone or were written again since; absolute paths."""
    for segment in sandbox.request("look", "changed", job_id, answer_s=_ANSWER_S):
        if segment.what == "changed":
            rows = os.fsdecode(segment.data).split("\n")
            return frozenset(
                row.split("\t", 2)[2] for row in rows if row.count("\t") > 1
            )
    raise ProtocolError(f"the machine did not say what became of the files of {job_id}")


def _ask(sandbox: Sandbox, job_id: str) -> tuple[str, bytes]:
    reply = sandbox.request("look", "outputs", job_id, answer_s=_ANSWER_S)
    for segment in reply:
        if segment.what == "outputs":
            return segment.fields.get("state", "none"), segment.data
    if job_replies.missing(reply):
        return "none", b""
    raise ProtocolError(f"the machine did not say what {job_id} wrote")


def parse(data: bytes, *, is_pending: bool = False) -> RunOutputs:
    r"""Return what outputs.tsv says. Pure.

    Lines of `SHA256 SIZE MTIME PATH` with tabs between, `-` where no checksum was taken;
    the last one begins with `#`: state, files, bytes, skipped, tree, run folder. Paths are
    relative to the tree; those below the run folder begin with `runs/` and its name.

    Raises:
        ProtocolError: A line is something else.
    """
    lines = os.fsdecode(data).split("\n")
    facts = next((line.split("\t") for line in lines if line.startswith("#\t")), [])
    if len(facts) != _FACTS:
        return RunOutputs(is_pending=is_pending, is_listed=False)
    root, run_dir = facts[5], facts[6]
    rows = (line.split("\t") for line in lines if line and not line.startswith("#\t"))
    return RunOutputs(
        files=tuple(_output(row, root, run_dir) for row in rows),
        root=root,
        run_dir=run_dir,
        n_skipped=_number(facts[4]),
        is_pending=is_pending,
        is_live=facts[1] == "live",
    )


def _output(row: list[str], root: str, run_dir: str) -> RunOutput:
    if len(row) != 4 or not (row[0] == "-" or _SHA256.fullmatch(row[0])):  # noqa: PLR2004
        raise ProtocolError(f"the record of what a run wrote has {row!r:.200}")
    return RunOutput(
        path=row[3],
        remote=_remote(row[3], root, run_dir),
        size_bytes=_number(row[1]),
        mtime=_number(row[2]),
        sha256="" if row[0] == "-" else row[0],
    )


def _remote(path: str, root: str, run_dir: str) -> str:
    own = f"{RUNS}/{run_folder(run_dir)}/"
    if path.startswith(own):
        return f"{run_dir}/{path.removeprefix(own)}"
    return path if path.startswith("/") else f"{root}/{path}"


def run_folder(run_dir: str) -> str:
    """Return the name of a run's folder: the id, also where it lies in the record."""
    parent, _, name = run_dir.rpartition("/")
    return parent.rpartition("/")[2] if name == "run" else name


def _number(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise ProtocolError(f"the record of what a run wrote has {text[:40]!r}")
    return int(text)
