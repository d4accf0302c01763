# shellcheck shell=sh
# Jobs that Slurm starts, seen from the login node: what the files slurm_*.sh have in common. What is
# otherwise on a compute node is in slurm_node.sh. The job's folder, on a file system that both
# have, is all that they say to each other; see docs/decisions/0030.
#
# Its files there: `slurm` (options of sbatch, a line each), `slurm.id` (`ID EPOCH`: its number
# in Slurm, and when it was submitted), `slurm.tried` (when sbatch was last
# called), `slurm.run` (the Slurm job that runs it: of two that a lost
# answer may have made, one), `slurm.out` (what Slurm itself says of it), `slurm.over` and
# `slurm.gone` (since when Slurm says that it is over, or knows it no more), `slurm.again` (when its next
# attempt may begin), `slurm.chain` (how many of its sweep may run at once), `grace`.

SLURM_ANSWER=10    # seconds: squeue, sacct, scontrol and scancel

# has_plain_files DIR: its folder holds nothing that would hold up who reads it, or write for ever: a
# pipe, a device, a socket, a link to one. ODD = what it holds. The job itself may put them there.
has_plain_files() {
  for _each in "$1"/*; do
    [ -f "$_each" ] || [ -d "$_each" ] || [ ! -e "$_each" ] || { ODD=${_each##*/} && return 1; }
  done
}

# print_slurm_out DIR: what Slurm itself said of a job, as far as anybody reads it
print_slurm_out() {
  [ ! -f "$1/slurm.out" ] || head -c 1048576 "$1/slurm.out" 2>/dev/null
}

# clock_s: NOW_S = seconds since 1970
clock_s() {
  [ -n "${EPOCH-}" ] || read_epoch
  now
  NOW_S=$((EPOCH + (UP - EPOCH_UP) / 100))
}
