"""A server in a pid namespace of its own: what it starts dies with it, at once.

Started again it is a machine that was restarted: another PID 1, pids from 1 on, so that
most numbers of before are given to somebody else. The boot id is what `boot_id` says:
a container keeps its host's, a machine that was switched off has another.
"""

import contextlib
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import processes
from sshd import SshServer, start_sshd
from waiting import wait_until

_INIT = """\
mount -t proc proc /proc &&
  mount --bind "$1" /proc/sys/kernel/random/boot_id || exit 1
[ -z "$2" ] || echo "$2" >/proc/sys/kernel/hostname
shift 2
"$@" &
wait $!
"""
_NAMESPACES = (
    "unshare", "--pid", "--uts", "--mount", "--propagation", "slave", "--fork", "--kill-child",
)  # fmt: skip


@dataclass
class Container(SshServer):
    """A server that is a machine of its own, as far as pids go. Needs root.

    Attributes:
        boot_id: A file that says it.
        node: What it calls itself when it starts; "": as this machine.
    """

    boot_id: Path = Path("/proc/sys/kernel/random/boot_id")
    node: str = ""
    end_signal = signal.SIGKILL  # `unshare` lets no other reach it

    @property
    def listener_pid(self) -> int:
        """The pid of sshd; that of the process that we started is `unshare`'s."""
        family = processes.descendants(super().listener_pid)
        return next(process.pid for process in family if process.name == "sshd")

    def outer_pids(self) -> dict[int, int]:
        """Return the pids of its processes as we see them, by those that it sees."""
        family = processes.descendants(super().listener_pid)
        return dict(_pids_inside(process.pid for process in family))

    def stop(self, *, sessions: bool = True) -> None:
        """Switch it off, with all that runs there."""
        super().stop(sessions=sessions)
        wait_until(lambda: not self.leftovers(), what="the end of the namespace")

    def _command(self) -> list[str]:
        init = ["sh", "-c", _INIT, "init", str(self.boot_id), self.node]
        return [*_NAMESPACES, *init, *super()._command()]


def start_container(folder: Path, boot_id: Path, node: str = "") -> Container:
    """Start one whose files lie in `folder`, which is made; see `start_sshd`."""
    server = start_sshd(folder, kind=partial(Container, boot_id=boot_id, node=node))
    assert isinstance(server, Container)
    return server


def _pids_inside(pids: Iterable[int]) -> Iterable[tuple[int, int]]:
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended while we looked
            for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
                if line.startswith("NSpid:"):
                    yield int(line.split()[-1]), pid
