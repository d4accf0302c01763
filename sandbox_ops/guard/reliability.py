"""How reliable each machine was: kept here, for a machine that is down cannot say it.

One file a user, lines of JSON, private. Of each machine the newest twelve count, so that
one that was down for a week is trusted again once it answers. A machine that often did not
answer, or lost jobs, is flaky: it is tried last.
"""

import contextlib
import os
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandbox_ops.errors import (
    AuthenticationError,
    ConnectError,
    HostKeyError,
    ProtocolError,
    SandboxError,
    TimedOutError,
)
from sandbox_ops.guard import line_file
from sandbox_ops.guard.user_folders import state_folder
from sandbox_ops.models import SandboxConfig

_KEPT_LINES = 2000
_SHORTENED_BYTES = 512 << 10
_KEPT_S = 30 * 86400
_NEWEST = 12
_FEWEST = 4
_RELIABLE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """How often a machine did what was asked, of the last times.

    Attributes:
        asked: How many times it was asked.
        answered: How many times it answered.
        lost_jobs: How many jobs it lost.
    """

    asked: int = 0
    answered: int = 0
    lost_jobs: int = 0

    @property
    def is_flaky(self) -> bool:
        """Whether it is tried after the others. Of a few times nothing is concluded."""
        tries = self.asked + self.lost_jobs
        return tries >= _FEWEST and self.answered < _RELIABLE * tries

    @property
    def short(self) -> str:
        """The same in a column: `9 of 12, lost 1`."""
        lost = f", lost {self.lost_jobs}" if self.lost_jobs else ""
        return f"{self.answered} of {self.asked}{lost}"

    def as_json(self) -> dict[str, int]:
        """The counts for programs."""
        return asdict(self)

    def __str__(self) -> str:
        lost = f", lost {self.lost_jobs} jobs" if self.lost_jobs else ""
        return f"answered {self.answered} of {self.asked} times{lost}"


def address(config: SandboxConfig) -> str:
    """Return what a machine is remembered by."""
    return f"{config.user or ''}@{config.host}:{config.port or ''}"


class ReliabilityFile:
    """What is remembered of all machines of this user.

    Args:
        environ: Says where the file is; see `state_folder`.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._file = state_folder(environ) / "machines.jsonl"

    def note(self, machine: str, *, answered: bool, lost: Iterable[str] = ()) -> None:
        """Remember one time. What cannot be written is not worth failing for.

        Args:
            machine: Its address.
            answered: Whether it did.
            lost: Ids of the jobs that are lost there; each counts once.
        """
        line: dict[str, Any] = {
            "at": int(time.time()),
            "machine": machine,
            "answered": answered,
        }
        ids = set(lost)
        if ids and (new := sorted(ids - self._lost(machine))):
            line["lost"] = new
        with contextlib.suppress(OSError):
            line_file.add(self._file, line_file.encoded(line))
            self._shorten()

    def note_failure(self, machine: str, error: SandboxError) -> None:
        """Remember that a machine failed, if it is the machine's fault.

        One that does not let us in yet (its host key is not known, no key of ours is
        taken), or that refuses as things stand, is as reliable as it was.

        Args:
            machine: Its address.
            error: How it failed.
        """
        ours = (HostKeyError, AuthenticationError)
        faults = (ConnectError, TimedOutError, ProtocolError)
        if isinstance(error, faults) and not isinstance(error, ours):
            self.note(machine, answered=False)

    def of(self, machine: str) -> Reliability:
        """Return what is remembered of a machine."""
        return self.of_each([machine])[machine]

    def of_each(self, machines: Iterable[str]) -> dict[str, Reliability]:
        """Return what is remembered of some machines; the file is read once."""
        newest = {name: deque[dict[str, Any]](maxlen=_NEWEST) for name in machines}
        for line in self._lines():
            if line["machine"] in newest:
                newest[line["machine"]].append(line)
        return {name: _reliability(lines) for name, lines in newest.items()}

    def _lost(self, machine: str) -> set[str]:
        lines = (line for line in self._lines() if line["machine"] == machine)
        return {str(job) for line in lines for job in line.get("lost", ())}

    def _lines(self) -> Sequence[dict[str, Any]]:
        since = time.time() - _KEPT_S
        try:
            return [
                each for each in line_file.lines(self._file) if _is_line(each, since)
            ]
        except OSError:
            return ()

    def _shorten(self) -> None:
        """Keep the newest lines, where there are twice as many and they take room."""
        if self._file.stat().st_size < _SHORTENED_BYTES:
            return
        lines = self._file.read_text("utf-8", "replace").splitlines(keepends=True)
        if len(lines) > 2 * _KEPT_LINES:
            new = Path(f"{self._file}.{os.getpid()}")
            new.touch(0o600)
            new.write_text("".join(lines[-_KEPT_LINES:]), "utf-8")
            new.replace(self._file)


def _reliability(lines: Sequence[Mapping[str, Any]]) -> Reliability:
    return Reliability(
        asked=len(lines),
        answered=sum(bool(line.get("answered")) for line in lines),
        lost_jobs=sum(len(line.get("lost", ())) for line in lines),
    )


def _is_line(line: Mapping[str, object], since: float) -> bool:
    at, lost = line.get("at"), line.get("lost", [])
    return (
        isinstance(line.get("machine"), str)
        and isinstance(at, int)
        and at >= since
        and isinstance(lost, list)
    )
