"""Real containers: podman over this computer's own programs, without an image or a network.

In a mount namespace of their own, for crun wants no half of a second cgroup hierarchy.
"""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mounts import Mounts, private_mounts

_MERGED = ("bin", "sbin", "lib", "lib64")
_HYBRID = Path("/sys/fs/cgroup/unified")


@dataclass(frozen=True)
class Podman:
    """Podman with a store of its own, and one container that it can start again.

    Attributes:
        command: What a `link` says: it leads to a shell in the container.
        root: The container's file system; it outlives the container.
    """

    folder: Path
    mounts: Mounts

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def command(self) -> tuple[str, ...]:
        return (*self._podman(), "exec", "-i", "box", "sh")

    def _podman(self) -> tuple[str, ...]:
        return (
            "podman", f"--root={self.folder}/store", f"--runroot={self.folder}/run",
            f"--tmpdir={self.folder}/tmp", "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs", "--events-backend=none",
        )  # fmt: skip

    def do(self, *words: str) -> str:
        """Run a command of podman; return what it printed."""
        done = self.mounts.do(
            lambda: subprocess.run(
                [*self._podman(), *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=50,
                check=False,
            )
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def create(self) -> None:
        """Make and start the container: our /usr, a home and a /tmp of its own."""
        for name in ("usr", "etc", "root", "tmp", "proc", "dev", "sys", "workspace"):
            (self.root / name).mkdir(parents=True)
        for name in _MERGED:
            (self.root / name).symlink_to(f"usr/{name}")
        (self.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        self.do(
            "run", "--detach", "--name=box", "--hostname=box", "--cgroups=disabled",
            "--network=none", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024",
            "--volume=/usr:/usr:ro", "--stop-timeout=1", "--rootfs", str(self.root),
            "/bin/sh", "-c", "exec sleep 86400",
        )  # fmt: skip


@contextlib.contextmanager
def podman_container(folder: Path) -> Iterator[Podman]:
    """Start a container; remove it, and all that runs there, at the end."""
    assert shutil.which("podman"), "apt-get install podman crun"
    folder.mkdir()
    with private_mounts() as mounts:
        if _HYBRID.exists() and os.path.ismount(_HYBRID):
            mounts.do(lambda: subprocess.run(["umount", str(_HYBRID)], check=True))
        podman = Podman(folder, mounts)
        podman.create()
        try:
            yield podman
        finally:
            podman.do("rm", "--force", "box")
