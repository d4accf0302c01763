"""A machine that can be hurt in every way that we know, and two clients that cannot."""

import contextlib
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import processes
from containers import start_container
from mounts import Mounts, private_mounts
from treework import TreeWork

from sandbox_ops import Sandbox
from sandbox_ops.models import SandboxConfig


class Machine:
    """A container with one disk for our records and one for a project's clone.

    Attributes:
        records: Our folder there; a small disk.
        projects: The workspace; a disk, too.
        truth: Where jobs note what became of them, on a disk that is never full.
    """

    def __init__(self, folder: Path, mounts: Mounts) -> None:
        self.mounts = mounts
        self._boot_id = folder / "boot_id"
        self._boot_id.write_text(f"{0:036x}\n")
        self.server = mounts.do(
            lambda: start_container(folder / "server", self._boot_id)
        )
        self.truth = folder / "truth"
        self.truth.mkdir()
        self.records = self.server.home / ".sandbox-ops"
        self.projects = folder / "projects"
        mounts.tmpfs(self.records, "size=16m,mode=700")
        mounts.tmpfs(self.projects, "size=64m")
        self.tree = mounts.do(lambda: TreeWork(folder / "git", self.projects))
        self.clients = [Sandbox(self.config) for _ in range(2)]

    @property
    def config(self) -> SandboxConfig:
        return self.server.config(workspace=str(self.projects))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()
        self.server.close()

    def processes(self) -> dict[int, str]:
        """Return the processes that carry a job's marker."""
        return processes.carrying(f"SANDBOX_JOB={self.records}/")

    def at_work_on_tree(self) -> tuple[int, ...]:
        return processes.at_work_on(self.tree.device)

    def kill(self, job_id: str, who: str) -> bool:
        """Kill the supervisor ("pid") or "leader" of a job that has not ended.

        Returns:
            Whether there was one.
        """
        line = self.mounts.do(lambda: self._state_line(job_id))
        pid = self.server.outer_pids().get(int(line.get(who, 0)), 0)
        same = line.get("ticks" if who == "pid" else "lticks") == _ticks(pid)
        if pid and same and "code" not in line:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            return True
        return False

    def kill_inner(self, pid: int, number: int) -> bool:
        """Send a signal to the process that the machine sees by that pid, if it lives."""
        outer = self.server.outer_pids().get(pid, 0)
        if outer:
            with contextlib.suppress(ProcessLookupError):
                os.kill(outer, number)
        return bool(outer)

    def cut(self) -> None:
        """Kill every SSH session."""
        processes.end(self.server.session_pids(), grace_s=0)

    def freeze(self) -> None:
        """Let no session move for a while, as a slow link does."""
        frozen = self.server.session_pids()
        for number, pause in ((signal.SIGSTOP, 0.2), (signal.SIGCONT, 0)):
            for pid in frozen:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            threading.Event().wait(pause)

    def restart(self, *, boot_id: bool) -> None:
        """Be a container that is started again, or a machine that is."""
        if boot_id:
            self._boot_id.write_text(f"{random.getrandbits(64):036x}\n")
        self.mounts.do(self.server.stop)
        self.mounts.do(lambda: self.server.start(busy=True))

    def _state_line(self, job_id: str) -> dict[str, str]:
        file = next((self.records / "v1").glob("*")) / "jobs" / job_id / "state"
        fields = file.read_text().split()
        return dict(word.split("=", 1) for word in fields if "=" in word)


@contextlib.contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Give a machine whose files all lie in a folder, which is made."""
    folder.mkdir()
    with private_mounts() as mounts, Machine(folder, mounts) as created:
        yield created


def _ticks(pid: int) -> str:
    """Return the start time of a process, in ticks, as a record has it."""
    with contextlib.suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[19]
    return ""
