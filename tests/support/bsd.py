"""A machine of the BSD kind, as far as Debian can be one: no /proc, and BSD's tools alone.

A mount namespace in which /proc is empty and /usr/bin holds nothing but what macOS or FreeBSD
has, behind `bsd_tools.pl`, which refuses what only GNU's know. Kernel, libraries, shells and perl
are this machine's. Reached by a link of the kind `command`; needs root.
"""

import dataclasses
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from each_link import CarriedMachine
from waiting import wait_until

from sandbox_ops.models import SandboxConfig

KERNELS = ("Darwin", "FreeBSD")
_HERE = Path(__file__).parent
_PLAIN = (
    "awk basename bash cmp comm curl dash echo env expr false getconf git gzip id kill less"
    " mkfifo nohup od openssl paste perl printf pwd python3 seq sh shasum sleep tar test true"
    " tty which yes"
)
_CHECKED = (
    "base64 cat chmod cp cut date dd df dirname du find grep head ln ls mkdir mktemp mv ps"
    " readlink renice rm rmdir sed sort stat sysctl tail tee touch tr uname uniq wc xargs"
)
_NAMESPACE = """\
for folder in /usr/sbin /usr/local/bin /usr/local/sbin; do mount --bind "$3" "$folder" || exit; done
mount --rbind /proc "$1/proc" && mount --bind /usr/bin "$1/bin" &&
  mount -t tmpfs tmpfs /proc && mount --bind "$2" /usr/bin || exit
: >"$1/ready"
exec "$1/bin/sleep" infinity
"""


@dataclass
class BsdMachine(CarriedMachine):
    """One whose home is `folder / "home"`. Its `sh` is bash on Darwin, dash on FreeBSD.

    Attributes:
        kernel: What `uname` says.
        without: Tools that are not installed there.
    """

    folder: Path
    kernel: str
    without: tuple[str, ...] = ()
    home: Path = field(init=False)
    _configs: list[SandboxConfig] = field(default_factory=list)

    def __post_init__(self) -> None:
        if os.geteuid() != 0:
            pytest.fail("/proc is hidden in a mount namespace, which needs root")
        self.home = self.folder / "home"
        for name in ("home", "state", "real/proc", "real/bin", "tools", "empty"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "state/hostname").write_text(self.kernel.lower())
        self.restarted()
        self._install()
        real, tools, empty = (
            str(self.folder / name) for name in ("real", "tools", "empty")
        )
        self._keeper = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _NAMESPACE, "sh", real, tools, empty],
            stdin=subprocess.DEVNULL,
        )
        wait_until((self.folder / "real/ready").exists, what="the namespace")
        self._carrier = self.folder / "carrier"
        self.start()

    def _install(self) -> None:
        real, tools = self.folder / "real", self.folder / "tools"
        names = (
            f'our ($REAL, $KERNEL, $STATE) = ("{real}", "{self.kernel}", '
            f'"{self.folder / "state"}");\n'
        )
        text = (_HERE / "bsd_tools.pl").read_text()
        (tools / "bsd").write_text(f"#!{real}/bin/perl\n{names}{text}")
        (tools / "bsd").chmod(0o755)
        for name in _CHECKED.split():
            (tools / name).symlink_to("bsd")
        for name in _PLAIN.split():
            if shutil.which(name) and name not in self.without:
                (tools / name).symlink_to(real / "bin" / name)
        shell = "bash" if self.kernel == "Darwin" else "dash"
        (tools / "sh").unlink()
        (tools / "sh").symlink_to(real / "bin" / shell)
        if self.kernel != "Darwin":
            (tools / "bash").unlink()

    def restarted(self) -> None:
        """Be another life of the machine: what ran is not there any more."""
        (self.folder / "state/boot_id").write_text(f"{os.urandom(16).hex()}")

    def config(self, **changes: object) -> SandboxConfig:
        """Return how a `Sandbox` reaches it; a new empty workspace each time."""
        workspace = self.folder / f"workspace-{len(self._configs)}"
        workspace.mkdir()
        config = SandboxConfig(
            name="test",
            host="there",
            workspace=str(workspace),
            link=(str(self._carrier),),
        )
        self._configs.append(config)
        return dataclasses.replace(config, **changes)  # type: ignore[arg-type]

    def run(self, command: str) -> str:
        """Run a line there, without us, and return what it prints."""
        return subprocess.check_output([self._carrier, command], text=True)

    def start(self) -> None:
        """Be in reach."""
        real = self.folder / "real"
        self._write_carrier(
            f"exec nsenter --target {self._keeper.pid} --mount {real}/bin/env -i "
            f'HOME={self.home} PATH=/usr/bin:/bin LANG=C.UTF-8 sh -c "$1"'
        )

    def close(self) -> None:
        """End whatever was left running there."""
        super().close()
        self._keeper.kill()
        self._keeper.wait()
