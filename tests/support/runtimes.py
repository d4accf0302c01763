"""Real containers: podman over this computer's own programs, without an image or a network.

In a mount namespace of its own, for crun takes no half of a second cgroup hierarchy.
"""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MERGED = ("bin", "sbin", "lib", "lib64")
_HYBRID = "/sys/fs/cgroup/unified"
_INSIDE = f"if mountpoint -q {_HYBRID}; then umount {_HYBRID}; fi; echo; exec cat"


@dataclass(frozen=True)
class Podman:
    """Podman with a store of its own, and one container that it can start again.

    Attributes:
        folder: Its files.
        namespace: The process in whose mount namespace it runs.
    """

    folder: Path
    namespace: int

    @property
    def root(self) -> Path:
        """The container's file system; it outlives the container."""
        return self.folder / "root"

    @property
    def command(self) -> tuple[str, ...]:
        """What a `link` says: it leads to a shell in the container."""
        return (*self._podman(), "exec", "-i", "box", "sh")

    def _podman(self) -> tuple[str, ...]:
        return (
            "nsenter", f"--mount=/proc/{self.namespace}/ns/mnt", "--",
            "podman", f"--root={self.folder}/store", f"--runroot={self.folder}/run",
            f"--tmpdir={self.folder}/tmp", "--storage-driver=vfs",
            "--cgroup-manager=cgroupfs", "--events-backend=none",
        )  # fmt: skip

    def do(self, *words: str) -> None:
        """Run a command of podman; what it starts lives on."""
        with (self.folder / "said").open("a+b") as said:
            done = subprocess.run(
                [*self._podman(), *words],
                stdin=subprocess.DEVNULL,
                stdout=said,  # a file: what stays behind keeps no pipe of ours
                stderr=said,
                timeout=50,
                check=False,
            )
            said.seek(0)
            assert done.returncode == 0, said.read().decode()

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
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation=private", "sh", "-c", _INSIDE],
        stdin=subprocess.PIPE,  # it ends when we do
        stdout=subprocess.PIPE,
    ) as namespace:
        assert namespace.stdout
        assert namespace.stdin
        namespace.stdout.readline()
        podman = Podman(folder, namespace.pid)
        try:
            podman.create()
            yield podman
        finally:
            podman.do("rm", "--force", "box")
            namespace.stdin.close()
