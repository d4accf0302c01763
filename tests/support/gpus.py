"""GPUs that are not there, held by processes that are: a stand-in for nvidia-smi.

A process holds a GPU by a file that names it, as `hold` writes it; one that is dead holds
nothing. So a test sees what a driver would show, whichever user the processes belong to.
"""

from dataclasses import dataclass
from pathlib import Path

_MIB = 81559
_ALIVE = """
alive() {{ # HOLDER: the process lives that wrote it, not another with its pid
  mib='' born=''
  read -r mib born 2>/dev/null <"$1" || return 1
  stat=$(cat "/proc/${{1##*.}}/stat" 2>/dev/null) || return 1
  set -- ${{stat##*) }}
  [ "$1" != Z ] && [ "${{20}}" = "$born" ]
}}
"""
_SMI = """#!/bin/sh
cd {folder} || exit 9
{alive}
[ ! -e hangs ] || exec sleep 60
[ ! -e fails ] || {{ echo 'driver mismatch' >&2; exit 9; }}
echo "$*" >>asked
case "$*" in
  *compute-apps*)
    for holder in holders/*.*; do
      alive "$holder" || continue
      gpu=${{holder%.*}}
      echo "GPU-${{gpu##*/}}, ${{holder##*.}}, $mib, /usr/bin/python3"
    done ;;
  *)
    for gpu in {indices}; do
      used=4
      for holder in holders/$gpu.*; do
        alive "$holder" || continue
        used=$((used + mib))
      done
      echo "$gpu, H100, GPU-$gpu, 0, $used, {mib}, 30, 580.1"
    done ;;
esac
"""
_HOLD = """#!/bin/sh
# usage: hold MIB SECONDS: as a training does on the GPUs that it was given
cd {folder} || exit 9
{alive}
stat=$(cat "/proc/$$/stat")
born=$(set -- ${{stat##*) }}; echo "${{20}}")
for gpu in $(echo "$CUDA_VISIBLE_DEVICES" | tr , ' '); do
  echo "$1 $born" >holders/$gpu.$$
done
for gpu in $(echo "$CUDA_VISIBLE_DEVICES" | tr , ' '); do
  for other in holders/$gpu.*; do
    [ "${{other##*.}}" = $$ ] || ! alive "$other" || echo "$gpu $$ ${{other##*.}} $SANDBOX_JOB" >>shared
  done
done
echo "$SANDBOX_JOB $CUDA_VISIBLE_DEVICES" >>began
exec sleep "$2"
"""


@dataclass(frozen=True)
class Gpus:
    """The GPUs of a machine.

    Attributes:
        folder: Where the stand-in keeps who holds them.
    """

    folder: Path

    @property
    def hold(self) -> str:
        """The program that holds the GPUs it is given: `HOLD MIB SECONDS`."""
        return str(self.folder / "hold")

    def lines(self, name: str) -> list[str]:
        """Return the lines of `began`, `shared` (two at once) or `asked`."""
        file = self.folder / name
        return file.read_text().splitlines() if file.exists() else []

    def holds(self, index: int, pid: int, mib: int = 20_000) -> Path:
        """Have a process that belongs to no user hold a GPU; returns the file that says so."""
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        file = self.folder / "holders" / f"{index}.{pid}"
        file.write_text(f"{mib} {stat[19]}\n")
        return file


def give_gpus(home: Path, count: int) -> Gpus:
    """Give a machine so many GPUs; its login finds their nvidia-smi."""
    folder = home / "gpus"
    (folder / "holders").mkdir(parents=True)
    indices = " ".join(map(str, range(count)))
    for name, text in (("nvidia-smi", _SMI), ("hold", _HOLD)):
        program = folder / name
        alive = _ALIVE.format()
        program.write_text(
            text.format(folder=folder, indices=indices, mib=_MIB, alive=alive)
        )
        program.chmod(0o755)
    with (home / ".profile").open("a") as profile:
        profile.write(f'PATH="{folder}:$PATH"\n')
    return Gpus(folder)
