# shellcheck shell=sh
# The batch script of a job that Slurm starts: our supervisor, and what it does otherwise on a compute
# node. IN_SLURM is the job's number in Slurm, and empty everywhere else.

# slurm_job DIR: the batch script: this process is the supervisor of that job, on its node
slurm_job() {
  dir=$1 JOBS=${1%/*} BASE=${1%/jobs/*}
  IN_SLURM=$SLURM_JOB_ID MYSELF=$$ FUNCTIONS='' slurm_why='' UNREADY='' NONCE=''
  machine_id
  QUEUE=$BASE/queue/$NODE
  exec 7>/dev/null 2>/dev/null
  load_start "$dir" && claim_run && get_state "$dir" && [ "$PHASE" != ended ] || exit 0
  [ ! -s "$BASE/functions.$ON" ] || FUNCTIONS=$BASE/functions.$ON
  find_adopters
  find_oom_file
  read_epoch
  _up0=$UP
  _t0=$((EPOCH * 100 + UP - EPOCH_UP)) _q0=${Q0:-$T0} _attempt=${ATTEMPT:-1}
  if [ "$PHASE" != queued ]; then # Slurm started it again, and no process was left to note the end
    note_attempt "$dir" 'code=- reason=lost'
    _attempt=$((_attempt + 1))
  fi
  rm -f "$dir/slurm.over" "$dir/slurm.gone" "$dir/slurm.again"
  read_stat self
  put_state "$dir" "starting pid=$ITS ticks=$TICKS machine=$MACHINE host=$NODE t0=$_t0 up0=$UP q0=$_q0 attempt=$_attempt" || exit 70
  SAID_AT=$(slurm_lines)
  umask "$_umask"
  supervise "$dir" bg "$_timeout" "$_grace" "$_cap" 1 "$_shell" "$_cwd" "$_t0" "$_attempt" "$_q0"
  _i=0 # what Slurm kills with us is the stopper, too
  while [ -e "$dir/stopping" ] && [ ! -e "$dir/stopped" ] && [ $_i -lt 100 ]; do
    pause 10
    _i=$((_i + 1))
  done
  [ "$reason" = exited ] || [ "$code" != 0 ] || code=1 # to Slurm, and to jobs that wait for it
  exit "$code"
}

# claim_run: this Slurm job is the one that runs it
claim_run() {
  create_exclusive "$dir/slurm.run" "$IN_SLURM"
  _number=
  { read -r _number <"$dir/slurm.run"; } 2>/dev/null
  [ "$_number" = "$IN_SLURM" ] || return 1
  [ -s "$dir/slurm.id" ] || printf '%s\n' "$IN_SLURM $(date +%s)" >"$dir/slurm.id"
}

# slurm_traps: what Slurm says to the supervisor, for the command
slurm_traps() {
  [ -n "${IN_SLURM-}" ] || return 0
  trap 'poked=1; take_slurm_term' TERM
  trap 'poked=1; hand_on_usr1' USR1
}

# take_slurm_term: a stop of ours; or Slurm ends the job, and has signalled all its processes; or
# only we were signalled
take_slurm_term() {
  if [ -e "$dir/stopping" ]; then
    _asked=$grace
    { read -r _asked <"$dir/grace"; } 2>/dev/null
    run_detached stop "$dir" "${_asked:-10}" stopped
    return 0
  elif [ "$(slurm_lines)" -gt "$SAID_AT" ]; then
    slurm_why=$(grep ' \*\*\* JOB ' "$dir/slurm.out" | tail -n 1)
    case $slurm_why in *' DUE TO '*) ;; *) is_only_ours || return 0 ;; esac
  fi
  [ -n "$slurm_why" ] || [ -z "${leader-}" ] || kill -s TERM -- "-$leader"
}

# is_only_ours: that was `scancel --batch`, which Slurm notes like a real end, while the job goes on
is_only_ours() {
  pause 50
  [ -n "${leader-}" ] && is_alive "$leader" "$lticks" || return 1
  case $(timeout $SLURM_ANSWER squeue -h -j "$IN_SLURM" -o %T) in RUNNING) ;; *) return 1 ;; esac
  SAID_AT=$(slurm_lines) slurm_why=
}

# slurm_lines: prints how often Slurm said that it ends the job
slurm_lines() {
  grep -c ' \*\*\* JOB ' "$dir/slurm.out" 2>/dev/null || :
}

# hand_on_usr1: the limit is near: to those processes of the job that want to know. To all others
# the signal is death.
hand_on_usr1() {
  LEADER=${leader-} LTICKS=${lticks-} PHASE=running
  [ -n "$LEADER" ] || return 0
  if [ -e "$dir/node_task" ]; then # over several nodes: it hands it on to all of them
    kill -s USR1 "$LEADER"
    return 0
  fi
  find_members "$dir"
  for _p in $PIDS; do
    wants_usr1 "$_p" && kill -s USR1 "$_p"
  done
}

# wants_usr1 PID: it has a handler of its own. `uv` has one that hands it on to a child that may have
# none, and bash catches all that would end it, where it has a trap for its exit
wants_usr1() {
  _caught=$(print_caught "$1")
  case $_caught in *[2367abef]??) ;; *) return 1 ;; esac
  read_name "$1"
  case $NAME.$_caught in
    uv.* | uvx.*) return 1 ;;
    bash.*[89abcdef]) mentions "$1" USR1 ;;
  esac
}

# take_slurm_end: reason extra, of an attempt that Slurm ended; `queued_again` where it starts it once more.
# What the leader left running ends with the batch script.
take_slurm_end() {
  [ -n "${IN_SLURM-}" ] || return 0
  left=0
  [ -n "$slurm_why" ] || [ "$(slurm_lines)" -le "$SAID_AT" ] ||
    slurm_why=$(grep ' \*\*\* JOB ' "$dir/slurm.out" | tail -n 1)
  [ -z "$slurm_why" ] || printf '%s\n' "$slurm_why" >>"$dir/log"
  case $slurm_why in
    '') return 0 ;;
    *'TIME LIMIT'*) reason=timed-out ;;
    *PREEMPT*) reason=preempted ;;
    *REQUEUE*) reason=requeued ;;
    *'NODE FAIL'*) reason=node-failed ;;
    *) reason=stopped extra="$extra by=slurm" ;;
  esac
  case $reason in preempted | requeued | node-failed) ;; *) return 0 ;; esac
  [ "$reason" = requeued ] || grep -qx -e --requeue "$dir/slurm" || return 0
  ATTEMPT=$attempt UP0=$up0 T0=$t0
  now
  note_attempt "$dir" "code=$code reason=$reason"
  put_state "$dir" "queued $origin up0=$UP q0=$q0 attempt=$((attempt + 1))" && queued_again=1
}

# requeue_slurm: another attempt follows, by Slurm, not before _pause is over
requeue_slurm() {
  put_state "$dir" "queued $origin up0=$UP q0=$q0 attempt=$((attempt + 1))" || return 1
  printf '%s\n' "$(($(date +%s) + _pause / 100))" >"$dir/slurm.again"
  trap '' TERM
  _i=0
  until has_requeued; do
    _i=$((_i + 1)) # it may still be busy with the start
    [ $_i -lt 5 ] || return 1
    pause 100
  done
  left=0
}

# has_requeued: Slurm was told to start this job again. It then ends all processes of the job, also
# the one that asked: an answer that is lost is a yes, where Slurm says that the job waits.
has_requeued() {
  _answer=$(timeout $SLURM_ANSWER scontrol requeue "$IN_SLURM" 2>&1) && return 0
  printf '%s\n' "$_answer" >>"$dir/slurm.out"
  case $_answer in *'pending execution'*) return 0 ;; esac
  [ "$(slurm_lines)" -gt "$SAID_AT" ]
}
