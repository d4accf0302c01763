#!/bin/sh
# usage: slurm_nodes.sh PROCESSES
#
# The command of a Slurm job on several nodes, on its first: has `node_task` of the job's folder
# run on each, and ends as the first that fails. PROCESSES: how many torchrun starts on a node.
# uses: is_listening
NODES_COME=60 # seconds: until each node is there, and reaches the first
names=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
first=$(printf '%s\n' "$names" | head -n 1)
given=${MASTER_ADDR-}
# where Slurm itself reaches it: its name need not be known to all
address=$(scontrol -o show node "$first" | sed -n 's/.* NodeAddr=\([^ ]*\).*/\1/p')
MASTER_ADDR=${given:-${address:-$first}}
MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000)) # below what outgoing connections get
tries=0
while is_listening "$MASTER_PORT"; do
  tries=$((tries + 1))
  if [ $tries -gt 100 ]; then
    echo "[sandbox-ops] the ports $((MASTER_PORT - 100)) to $MASTER_PORT of $first are taken"
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

# check_nodes: has all nodes come to the port where their processes will meet, before any begins (node/meet.py)
check_nodes() {
  meeting=
  rm -f "$SANDBOX_JOB/node_meets" "$SANDBOX_JOB/node_met"
  [ -z "$given" ] && command -v python3 >/dev/null || return 0
  SANDBOX_NODE_SECRET=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  SANDBOX_NODES_COME=$NODES_COME
  export SANDBOX_NODE_SECRET SANDBOX_NODES_COME
  # shellcheck disable=SC2086 # names of nodes
  python3 "$SANDBOX_JOB/node_meet.py" wait "$MASTER_PORT" $NODES_COME $names </dev/null &
  meeting=$!
  tries=0
  until [ -e "$SANDBOX_JOB/node_meets" ] || [ -e "$SANDBOX_JOB/node_met" ] || [ $tries -gt 100 ]; do
    tries=$((tries + 1))
    sleep 0.1
  done
}

# What is to be signalled on all nodes stands in `node_signals`, which `node_task` reads there:
# srun and scancel would signal every process of a node at once, whether it wants to know or not.
rm -f "$SANDBOX_JOB/first_failure" # of an earlier attempt
printf '' >"$SANDBOX_JOB/node_signals"
check_nodes
ended=
trap 'ended=1; echo TERM >>"$SANDBOX_JOB/node_signals"' TERM
trap 'echo USR1 >>"$SANDBOX_JOB/node_signals"' USR1
# a session of its own: srun ends all nodes at once where it is signalled itself
setsid srun --nodes="$NNODES" --ntasks="$NNODES" --ntasks-per-node=1 --kill-on-bad-exit=1 \
  --label sh "$SANDBOX_JOB/node_task" &
step=$!
while :; do
  wait $step
  code=$?
  kill -0 $step 2>/dev/null || break
done
[ -z "$meeting" ] || kill "$meeting" 2>/dev/null
[ -z "$ended" ] || exit 143
if [ "$code" != 0 ] && { read -r rank node how <"$SANDBOX_JOB/first_failure"; } 2>/dev/null; then
  echo "[sandbox-ops] rank $rank on $node failed first, with exit code $how; the others were ended"
  code=$how
fi
exit "$code"
