#!/bin/sh
# usage: slurm_look.sh [OPTION]...
#
# Says whether Slurm answers on this login node, and would take a job with these options of
# sbatch: Slurm itself tries the partition, the account, the QOS and their limits, and starts
# nothing. And what the home lies on, which the nodes must see as well.
set -eu

if ! command -v sbatch >/dev/null 2>&1; then
  echo slurm=missing
  exit 0
fi
one_line() { tr '\n' ' ' | cut -c 1-400 | sed 's/ *$//'; }
echo "slurm=$(sbatch --version 2>&1 | one_line)"
echo "controller=$(timeout 10 scontrol ping 2>&1 | one_line)"
echo "now=$(date +%Y-%m-%dT%H:%M:%S)"
echo "home=$HOME"
echo "file_system=$(stat -f -c %T "$HOME" 2>/dev/null || echo unknown)"
echo "tracking=$(timeout 10 scontrol show config 2>/dev/null | sed -n 's/^ProctrackType *= *//p')"
if answer=$(timeout 20 sbatch --test-only "$@" --wrap true 2>&1 </dev/null); then
  echo "takes=yes"
else
  echo "takes=no"
fi
printf 'verdict=%s\n' "$(printf '%s' "$answer" | sed 's/^sbatch: //; s/^error: //; s/^allocation failure: //' | one_line)"
timeout 10 sinfo -h -o '%P %a %l %D %T' 2>/dev/null | head -n 40 | while IFS= read -r partition; do
  printf 'partition=%s\n' "$partition"
done
over() { grep '\*' | one_line; } # what is over its quota has a star, from both
if command -v quota >/dev/null 2>&1; then
  printf 'quota=%s\n' "$(timeout 10 quota -w 2>/dev/null | over)"
fi
if command -v lfs >/dev/null 2>&1; then # Lustre has its own
  printf 'quota=%s\n' "$(timeout 10 lfs quota -q -u "$(id -un)" "$HOME" 2>/dev/null | over)"
fi
