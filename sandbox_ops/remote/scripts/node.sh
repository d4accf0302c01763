#!/bin/sh
# usage: node.sh
#
# The command of a job that is one node of a run over several machines: becomes the launcher,
# which has `node_command` of the job's folder run by a shell once all nodes are there.
python=$(command -v python3 || command -v python) || {
  echo "[sandbox-ops] a run over several machines needs python3 on each, and there is none in PATH"
  exit 127
}
set -- sh
! command -v bash >/dev/null 2>&1 || set -- bash --noprofile --norc
exec "$python" "$SANDBOX_JOB/node_launcher.py" "$@" "$SANDBOX_JOB/node_command"
