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
  set -C # of several the first counts
  { echo "$SLURM_NODEID $SLURMD_NODENAME $code" >"$SANDBOX_JOB/first_failure"; } 2>/dev/null
fi
kill $watcher
exit "$code"
