# shellcheck shell=sh
# The supervisor: one process a job, forked by a worker and then alone. It starts the
# leader, waits for it, and writes how it ended. `stop` spares it.

# supervise DIR KIND TIMEOUT_CS GRACE_S CAP_BYTES WAIT_CS SHELL CWD T0 [ATTEMPT Q0]
# of the queue the last two (attempts.sh). KIND fg: stdout to `log`, stderr to `stderr`; bg: both to `log`. Zeroes mean none.
# The worker listens on fd 7: a line `ID WORD` when it started (WAIT_CS 0) or ended.
supervise() {
  dir=$1 kind=$2 timeout=$3 grace=$4 cap=$5 wait=$6 shell=$7 cwd=$8 t0=$9
  id=${dir##*/} poked='' attempt=${10-} q0=${11-} queued_again=
  trap '' HUP PIPE
  trap 'poked=1' TERM INT USR1
  slurm_traps
  trap 'tell_worker ended' EXIT # whatever goes wrong here, nobody is to wait for ever
  command exec 8<"$dir/state" # by which our record is known, if its folder is removed
  count_oom_kills
  ooms=$OOMS
  may_begin || exit 0
  up0=$UP
  begin_attempt
  if [ "$kind" = fg ]; then
    exec_command >>"$dir/log" 2>>"$dir/stderr" 7>&- 8<&- &
  else
    exec_command >>"$dir/log" 2>&1 7>&- 8<&- &
  fi
  leader=$!
  identify # only now: its command is on its way meanwhile
  read_stat "$leader" || TICKS=0
  lticks=$TICKS
  self="$self leader=$leader lticks=$TICKS up0=$up0"
  put_state "$dir" "running $self"
  attempt_settled
  [ "$wait" != 0 ] || tell_worker started
  while :; do
    poked=
    wait "$leader"
    code=$?
    [ -n "$poked" ] || break
    # a signal to us may have ended the wait: then the leader is still to be waited for
    read_stat "$leader" && continue
    # it ended while the signal was handled: this shell knows how, if it did not say so already (127)
    wait "$leader"
    _known=$?
    [ $_known = 127 ] || code=$_known
    break
  done
  finish
  [ -n "$queued_again" ] || attempts_over
  _mark=${dir%/jobs/*}/live/$id
  [ "$wait" = 0 ] || [ -e "$_mark" ] || tell_worker ended # else it waits no more
  trap - EXIT
  clear_up
  [ "$kind" = fg ] || poke_keeper
}

# identify: self = who we are, for the state line; origin: without what the queue adds
identify() {
  read_stat self && origin="pid=$ITS ticks=$TICKS machine=$MACHINE host=$NODE t0=$t0"
  self=$origin${attempt:+" q0=$q0 attempt=$attempt"}
}

# may_begin: neither stopped meanwhile, nor so late that readers gave it up; UP
may_begin() {
  now
  reason=late
  if [ -e "$dir/stopping" ]; then
    read -r reason _ <"$dir/stopping"
  elif [ $((UP - _up0)) -le $((START_WINDOW / 2)) ]; then
    return 0
  fi
  identify
  put_state "$dir" "ended code=- reason=$reason up0=$UP up1=$UP $self"
  attempts_over
  return 1
}

# exec_command: becomes the user's command, leader of a session of its own
exec_command() {
  trap - HUP PIPE TERM INT USR1
  COUNTS=
  [ ! -e "$dir/then" ] || count_group
  make_run_dir
  read_environment "$dir/environment"
  # from here on any variable may be the user's
  set -- "$dir" "$cwd" "$shell" "$SETSID" "$FUNCTIONS" "$SH" "$gpus" "$attempt" "$resume" \
    "$keep_env" "$RUN_DIR" "$COUNTS" "$ENV_PATH" "$VENV" "$CONDA"
  eval "$LOGIN_ENV"
  export PYTHONUNBUFFERED=1
  use_environment "${13}" "${14}" "${15}"
  [ -z "$7" ] || export CUDA_VISIBLE_DEVICES="$7"
  if [ -e "$1/env" ]; then
    exec 3<"$1/env"
    [ -n "${10}" ] || rm -f "$1/env" # secrets do not stay
    run_opened
    exec 3<&-
  fi
  export SANDBOX_JOB="$1" SANDBOX_JOB_ID="${1##*/}" SANDBOX_METRICS="$1/metrics.jsonl"
  [ -z "${11}" ] || export SANDBOX_RUN_DIR="${11}" SANDBOX_JOB_NAME="${SANDBOX_JOB_NAME-}"
  [ -z "${12}" ] || { eval "${12}" && export SANDBOX_GROUP_FILE="$1/group.tsv"; }
  [ -z "$8" ] || export SANDBOX_ATTEMPT="$8" SANDBOX_RESUME="$9"
  cd "$2" || exit 126
  [ "$3" != bash ] || [ ! -s "$5" ] || export BASH_ENV="$5"
  # shellcheck disable=SC2086 # "setsid" or "busybox setsid"
  case $3 in
    bash) exec $4 bash --noprofile --norc "$1/command" ;;
    any) exec $4 sh "$1/command" ;; # the user's, where there is no bash
    *) exec $4 $6 "$1/command" ;;   # ours
  esac
}

# finish: write the end. What the leader was killed by, a shell tells only as 128+n.
finish() {
  now
  reason=exited sure=1 left=0 extra=
  if [ "$code" -gt 128 ] && [ "$code" -le 192 ]; then
    sure=0
    count_oom_kills
    [ "$code" != 137 ] || [ "${OOMS:-0}" -le "${ooms:-0}" ] || extra="$extra oom=1"
  fi
  if [ -e "$dir/stopping" ]; then
    read -r reason _ <"$dir/stopping"
  else
    count_leftovers
    take_slurm_end
  fi
  ran=$((UP - up0))
  # what lasted so short a time fills no large cap, and to look costs a process
  [ "$cap" = 0 ] || { [ $ran -lt 5 ] && [ "$cap" -ge 67108864 ]; } || truncate_logs
  [ -z "$queued_again" ] || return 0
  if retry_follows && queue_again; then
    queued_again=1
    return 0
  fi
  has_all || extra="$extra incomplete=1"
  [ ! -e "$dir/first_failure" ] || read_first_failure
  [ ! -e "$dir/node_attempt" ] || { read_node_attempt "$dir" && extra="$extra$NODE_ATTEMPT"; }
  _tries=0
  until write_end "ended code=$code reason=$reason sure=$sure up1=$UP survivors=$left$extra $self"; do
    # an hour, for a file system may come back; a minute where the folder is gone with it
    [ -d "$dir" ] || _tries=$((_tries + 59))
    _tries=$((_tries + 1))
    [ $_tries -lt 720 ] || break
    if [ $_tries -lt 5 ]; then pause 20; else pause 500; fi
  done
}

# has_all: the log lacks nothing: it can still grow (tried on a file that is there already:
# nothing to remove), and always could
has_all() {
  [ ! -e "$dir/incomplete" ] || return 1
  if ! printf '%4096s' '' >>"$dir/state"; then
    [ ! -d "$dir" ] || note_disk_full "${dir%/jobs/*}" # removed: the disk is not full for that
    return 1
  fi
  _when=0 _where=
  read -r _when _where <"${dir%/jobs/*}/full"
  [ "$_where" != "$MACHINE" ] || [ "$_when" -lt "$up0" ]
}

# clear_up: what only a job that runs needs; its mark stays where it left processes. And
# who wrote much makes room for others.
clear_up() {
  if { read -r _who _born <"$_mark"; } 2>/dev/null; then
    is_alive "$_who" "$_born" && kill -s USR1 "$_who"
    note_if_full "${dir%/jobs/*}"
    set -- "$dir/probe" "$_mark"
    [ "$left" != 0 ] || set -- "$@" "${dir%/jobs/*}/limits/$id" # else it may write on
    rm -f "$@"
  fi
  [ "$left" = 0 ] || printf '' >"$_mark"
  [ -n "$queued_again" ] || record_outputs
  [ -n "$queued_again" ] || [ ! -e "$dir/notify" ] || run_detached notify "$dir"
  [ "$ran" -gt 100 ] || return 0
  [ -z "$(find "$dir" -type f -size +131072)" ] || # 64 MiB
    run_detached prune "${dir%/jobs/*}"
}

# tell_worker WORD: to whoever started the job, if there still is one
tell_worker() {
  printf '%s %s\n' "$id" "$1" >&7
}

# count_oom_kills: OOMS = how often the kernel killed for memory in our cgroup, or ''
count_oom_kills() {
  OOMS=
  while read -r _key _value; do
    [ "$_key" != oom_kill ] || OOMS=$_value
  done 2>/dev/null <"$OOM_FILE"
}

# count_leftovers: left = how many processes of the job outlive the leader. They were all
# born after it; where few pids were given out since, only those are looked at, else all, and then
# who was born meanwhile. One may fork and go while we look, or just become a program: then we
# look again, a few times, not for as long as the machine is busy with other jobs.
count_leftovers() {
  for _round in 1 2 3 4 5 6; do
    left=0 _born='' _orphans='' _base=$leader
    if ! list_newborn; then
      left=0
      read_last_pid
      LEADER=$leader LTICKS=$lticks PHASE=ended UP1=$UP
      find_members "$dir"
      for _p in $PIDS; do left=$((left + 1)); done
      [ "$left" = 0 ] || return 0
      if is_any_starting; then pause 1; continue; fi
      list_newborn || return 0
    fi
    [ -n "$_orphans" ] || return 0
    # shellcheck disable=SC2086 # pids
    find_marked "$dir" $_born
    for _p in $MARKED; do left=$((left + 1)); done
    is_unsure || return 0
    pause 1
  done
}
