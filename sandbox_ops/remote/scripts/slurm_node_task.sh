#!/bin/sh
# usage: slurm_node_task.sh
#
# One node of a Slurm job on several: runs `node_command` of the job's folder. Who fails first
# writes that down, on the file system that all nodes share.
export NODE_RANK="$SLURM_NODEID" PET_NODE_RANK="$SLURM_NODEID"
conf="is_host=$((SLURM_NODEID == 0))"
export PET_RDZV_CONF="$conf"
[ -z "${LOCAL_WORLD_SIZE-}" ] || export RANK="$SLURM_NODEID"
set -- sh
! command -v bash >/dev/null 2>&1 || set -- bash --noprofile --norc
"$@" "$SANDBOX_JOB/node_command"
code=$?
if [ "$code" != 0 ]; then
  set -C # of several the first counts
  { echo "$SLURM_NODEID $SLURMD_NODENAME $code" >"$SANDBOX_JOB/first_failure"; } 2>/dev/null
fi
exit "$code"
