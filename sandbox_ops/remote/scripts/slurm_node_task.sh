#!/bin/sh
# usage: slurm_node_task.sh
#
# One node of a Slurm job on several: runs `node_command` of the job's folder, and hands on to it
# what `node_signals` says. Who fails first writes that down. Both files are on the file system
# that all nodes share.
# uses: knows_z find_marked print_caught read_name mentions wants_usr1 read_stat find_session
export NODE_RANK="$SLURM_NODEID" PET_NODE_RANK="$SLURM_NODEID"
conf="is_host=$((SLURM_NODEID == 0))"
export PET_RDZV_CONF="$conf"
[ -z "${LOCAL_WORLD_SIZE-}" ] || export RANK="$SLURM_NODEID"

# watch_signals: for as long as the command runs
watch_signals() {
  n_handled=0
  while sleep 1; do
    n=0
    while read -r signal; do
      n=$((n + 1))
      [ $n -gt $n_handled ] || continue
      case $signal in
        TERM) kill -s TERM -- "-$child" ;;
        USR1) hand_on_warning ;;
      esac
    done <"$SANDBOX_JOB/node_signals"
    n_handled=$n
  done
}

# hand_on_warning: the limit is near: to those processes that want to know, as on one node. To
# all others the signal is death.
hand_on_warning() {
  find_marked "$SANDBOX_JOB"
  for pid in $MARKED; do
    wants_usr1 "$pid" && kill -s USR1 "$pid"
  done
}

# meet: until all nodes have reached the first; without its secret that is not checked
meet() {
  [ -n "${SANDBOX_NODE_SECRET-}" ] || return 0
  if [ "$SLURM_NODEID" = 0 ]; then
    met='' tries=0
    until { read -r met <"$SANDBOX_JOB/node_met"; } 2>/dev/null || [ $tries -gt $((SANDBOX_NODES_COME * 10)) ]; do
      tries=$((tries + 1))
      sleep 0.2
    done
    [ "$met" = go ]
  elif command -v python3 >/dev/null; then
    python3 "$SANDBOX_JOB/node_meet.py" come "$MASTER_ADDR" "$MASTER_PORT" $((SANDBOX_NODES_COME / 4)) "$SLURM_NODEID" \
      "$SLURMD_NODENAME" "$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)"
  else
    echo "[sandbox-ops] not begun: the first node has python3, and $SLURMD_NODENAME has none in PATH"
    return 75
  fi
}

# fail CODE: of several that fail the first counts
fail() {
  set -C
  { echo "$SLURM_NODEID $SLURMD_NODENAME $1" >"$SANDBOX_JOB/first_failure"; } 2>/dev/null
}

if ! meet </dev/null; then
  [ "$SLURM_NODEID" = 0 ] || fail 75
  exit 75
fi
unset SANDBOX_NODE_SECRET SANDBOX_NODES_COME
set -- sh
! command -v bash >/dev/null 2>&1 || set -- bash --noprofile --norc
setsid "$@" "$SANDBOX_JOB/node_command" &
child=$!
watch_signals </dev/null >/dev/null 2>&1 &
watcher=$!
wait $child
code=$?
if grep -qx TERM "$SANDBOX_JOB/node_signals"; then
  # what the shell started has the rest of the grace; and no exit code ends the other nodes
  while find_session $child && [ -n "$KIN" ]; do sleep 0.2; done
  code=0
elif [ "$code" != 0 ]; then
  fail "$code"
fi
kill $watcher
exit "$code"
