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

# clock_s: NOW_S = seconds since 1970
clock_s() {
  now
  [ -n "${EPOCH-}" ] || EPOCH=$(date +%s) EPOCH_UP=$UP
  NOW_S=$((EPOCH + (UP - EPOCH_UP) / 100))
}
