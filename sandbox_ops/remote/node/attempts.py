"""The attempts of a run over several nodes: whether another follows, and what a node keeps of each.

In the job's folder, as a supervisor leaves them for a job of the queue (lib/attempts.sh):
`attempts`, a line for each that is over; `log_at`, where in the log the newest began; and
`node_attempt`, its number.
"""

from __future__ import annotations

import contextlib
import glob
import time
from pathlib import Path

from sandbox_ops.remote.node.job_files import Failure, Plan, Retry, write

_SIGNALS = range(129, 193)  # the exit codes that a shell gives to a signal
_KILLED = 137
_LONGEST_PAUSE_S = 600


def attempt_follows(retry: Retry, attempt: int, how: str) -> bool:
    """Whether another attempt follows one that ended so: how, as in `Failure`. Pure."""
    if attempt > retry.retries or not how.isdigit():
        return False
    code = int(how)
    kinds = {"signal" if code in _SIGNALS else "exit", f"exit={code}"}
    if code == _KILLED:
        kinds.add("oom")
    return not kinds.isdisjoint(retry.on)


def pause_after(retry: Retry, attempt: int) -> float:
    """Return how long the run waits after an attempt; twice as long after each. Pure."""
    pause_s: float = retry.backoff_s * 2 ** min(attempt - 1, 20)
    return min(pause_s, _LONGEST_PAUSE_S)


class Attempts:
    """The attempts of one node; nothing is kept where there is only one.

    Attributes:
        number: Of the attempt that runs, or comes next.
        is_retried: Whether more than one may be.
    """

    def __init__(self, plan: Plan, folder: str) -> None:
        self.number = 1
        self._rank, self._retry = plan.rank, plan.retry
        self.is_retried = plan.retry.retries > 0
        self._folder = folder
        self._first_at = self._began_at = time.time()
        self._began_up = _uptime_cs()
        self._log_at = 0

    def begin(self) -> dict[str, str]:
        """Note that the attempt begins; return its variables."""
        if not self.is_retried:
            return {}
        self._began_at, self._began_up = time.time(), _uptime_cs()
        self._first_at = self._first_at if self.number > 1 else self._began_at
        with contextlib.suppress(OSError):
            self._log_at = Path(self._folder, "log").stat().st_size
        write(f"{self._folder}/log_at", f"{self._log_at}\n")
        write(f"{self._folder}/node_attempt", f"{self.number}\n")
        return {"SANDBOX_ATTEMPT": str(self.number), "SANDBOX_RESUME": self._resume()}

    def end(self, code: int, failure: Failure) -> None:
        """Note how the attempt ended here, and who failed first."""
        sure = int(code not in _SIGNALS)
        is_own = failure.rank == self._rank
        other = "" if is_own else f" first={failure.fields(':')}"
        line = (
            f"attempt={self.number} code={code} reason=exited sure={sure}{other}"
            f" t0={round(self._began_at * 100)} up0={self._began_up} up1={_uptime_cs()}"
            f" log={self._log_at}\n"
        )
        with Path(self._folder, "attempts").open("a", encoding="utf-8") as file:
            file.write(line)
        self.number += 1

    def _resume(self) -> str:
        """Return the newest checkpoint that is not older than the first attempt."""
        pattern = self._retry.resume_from
        if self.number == 1 or not pattern:
            return ""
        pattern = pattern.replace("{job}", Path(self._folder).name, 1)
        newest, newest_at = "", self._first_at - 1
        for path in glob.glob(pattern):  # noqa: PTH207 - may be absolute
            with contextlib.suppress(OSError):
                at = Path(path).stat().st_mtime
                if at >= newest_at:
                    newest, newest_at = path, at
        return newest


def _uptime_cs() -> int:
    """Return the machine's clock that nobody sets, in hundredths of a second."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return round(float(Path("/proc/uptime").read_text("ascii").split()[0]) * 100)
    return 0
