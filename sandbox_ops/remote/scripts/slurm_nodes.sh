#!/bin/sh
# usage: slurm_nodes.sh PROCESSES
#
# The command of a Slurm job on several nodes, on its first: has `node_task` of the job's folder
# run on each, and ends as the first that fails. PROCESSES: how many torchrun starts on a node.
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# where Slurm itself reaches it: its name need not be known to all
address=$(scontrol -o show node "$first" | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
MASTER_ADDR=${address:-$first}

# is_taken PORT: something listens there
is_taken() {
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$1") [0-9A-F]*:0000 0A"
}

MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000)) # below what outgoing connections get
tries=0
while is_taken "$MASTER_PORT"; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ]; then
    echo "[sandbox-ops] no port is free on $first: $((MASTER_PORT - 100)) to $MASTER_PORT are taken"
    exit 75
  fi
  MASTER_PORT=$((MASTER_PORT + 1))
done
NNODES=$SLURM_JOB_NUM_NODES
export MASTER_ADDR MASTER_PORT NNODES
export PET_NNODES="$NNODES" PET_MASTER_ADDR="$MASTER_ADDR" PET_MASTER_PORT="$MASTER_PORT" \
  PET_RDZV_ID="$SLURM_JOB_ID" PET_RDZV_ENDPOINT="$MASTER_ADDR:$MASTER_PORT" \
  PET_NPROC_PER_NODE="${PET_NPROC_PER_NODE:-$1}" PET_MONITOR_INTERVAL="${PET_MONITOR_INTERVAL:-0.1}"
[ "$1" != 1 ] || export WORLD_SIZE="$NNODES" LOCAL_RANK=0 LOCAL_WORLD_SIZE=1

rm -f "$SANDBOX_JOB/first_failure" # of an earlier attempt
srun --kill-on-bad-exit=1 --label --nodes="$NNODES" --ntasks="$NNODES" --ntasks-per-node=1 \
  sh "$SANDBOX_JOB/node_task"
code=$?
if [ "$code" != 0 ] && { read -r rank node how <"$SANDBOX_JOB/first_failure"; } 2>/dev/null; then
  echo "[sandbox-ops] rank $rank on $node failed first, with exit code $how; the others were ended"
  code=$how
fi
exit "$code"
