# shellcheck shell=sh
# Attempts of one job: when another follows, what is kept of each, where it goes on.

# note_attempt DIR WORDS: a line in `attempts`, of one that is over: as get_state has it
note_attempt() {
  _words="attempt=${ATTEMPT:-1} $2 t0=${T0:-0} up0=${UP0:-0} up1=$UP log=${LOG_AT:-0}"
  printf '%s\n' "$_words" >>"$1/attempts" && return 0
  rm -f "$BASE/ballast"
  printf '%s\n' "$_words" >>"$1/attempts"
}

# begin_attempt: what an attempt needs before its command begins: `resume`, and LOG_AT, where
# in the log it begins. `again` stands while its loss would be followed by another.
begin_attempt() {
  resume='' LOG_AT=0 gpus='' keep_env=
  [ -z "${IN_SLURM-}" ] || [ "$_retries" = 0 ] || keep_env=1 # Slurm may start it again at any time
  [ -n "$attempt" ] || return 0
  { read -r gpus <"$dir/gpus"; } 2>/dev/null
  [ -z "$gpus" ] || record_gpus
  [ -e "$dir/first" ] || printf '' >"$dir/first"
  [ "$_retries" != 0 ] || return 0
  LOG_AT=$(stat -c %s "$dir/log")
  printf '%s\n' "$LOG_AT" >"$dir/log_at"
  [ "$attempt" -le 1 ] || [ -z "$_resume" ] || resume=$(newest_match)
  [ "$attempt" -le "$_retries" ] && [ -z "${IN_SLURM-}" ] || return 0
  keep_env=1
  case ,$_on, in *,lost,*) printf '' >"$dir/again" ;; esac
}

# record_gpus: the run record names the devices that the queue gave to this attempt, as that of a
# start beside the queue does; a record that cannot be written is no reason not to begin
record_gpus() {
  [ -s "$dir/run.json" ] || return 0
  _list=''
  while IFS= read -r _device; do
    case $_device in '{'*) _list=$_list${_list:+, }$_device ;; esac
  done <"$dir/gpus"
  while IFS= read -r _line; do
    case $_line in
      '  "gpus": ['*'],') printf '  "gpus": [%s],\n' "$_list" ;;
      *) printf '%s\n' "$_line" ;;
    esac
  done <"$dir/run.json" >"$dir/run.json.$id" && mv "$dir/run.json.$id" "$dir/run.json"
  rm -f "$dir/run.json.$id"
}

# look_attempts ID: the attempts of a job that are over, a line each as note_attempt has it; then
# `attempts ID at= size=`: where in the log the newest began, and how long the log is
look_attempts() {
  _at=0 _size=0
  ! find_record "$JOBS/$1" || {
    [ ! -s "$JOBS/$1/attempts" ] || cat "$JOBS/$1/attempts"
    { read -r _at <"$JOBS/$1/log_at"; } 2>/dev/null
    _size=$(stat -c %s "$JOBS/$1/log" 2>/dev/null)
  }
  trailer "attempts $1 at=$_at size=$_size"
}

# newest_match: prints the newest file or folder that matches _resume in the job's directory and
# is not older than its first attempt
# shellcheck disable=SC3013 # dash, bash and busybox all have -nt
newest_match() {
  cd "$cwd" || return 0
  _pattern=$_resume _newest=
  case $_pattern in *'{job}'*) _pattern=${_pattern%%'{job}'*}$id${_pattern#*'{job}'} ;; esac
  IFS=
  # shellcheck disable=SC2086 # it is a pattern
  for _match in $_pattern; do
    [ -e "$_match" ] && [ ! "$dir/first" -nt "$_match" ] || continue
    [ -n "$_newest" ] && [ "$_newest" -nt "$_match" ] || _newest=$_match
  done
  printf '%s' "$_newest"
}

# retry_follows: another attempt follows an end like this (code sure extra)
retry_follows() {
  [ -n "$attempt" ] && [ "$reason" = exited ] && [ "$attempt" -le "$_retries" ] && [ ! -e "$dir/stopping" ] &&
    [ "$code" != 0 ] || return 1
  _kind_of_end='exit'
  [ "$sure" = 1 ] || _kind_of_end=signal
  case $extra in *oom=1*) _kind_of_end=oom ;; esac
  case ,$_on, in
    *,$_kind_of_end,*) ;;
    *",exit=$code,"*) ;;
    *) return 1 ;;
  esac
}

# queue_again: this attempt is over; the job waits for its next, with nothing left of this one.
# Fails where that cannot be written: then it ends.
queue_again() {
  if [ "$left" != 0 ]; then
    LEADER=$leader LTICKS=$lticks PHASE=ended UP1=$UP
    end_members "$dir"
  fi
  ATTEMPT=$attempt UP0=$up0 T0=$t0
  now
  note_attempt "$dir" "code=$code reason=exited sure=$sure$extra"
  _pause=$_backoff _n=1
  while [ $_n -lt "$attempt" ] && [ "$_pause" -lt 60000 ]; do _pause=$((_pause * 2)) _n=$((_n + 1)); done
  [ "$_pause" -le 60000 ] || _pause=60000
  [ -z "${IN_SLURM-}" ] || { requeue_slurm; return; }
  overwrite "$dir/waits" "retry $((UP + _pause))"
  { printf '%12d' $((UP + _pause)) 1<>"$HELD_ENTRY"; } 2>/dev/null || return 1
  put_state "$dir" "queued $origin up0=$UP q0=$q0 attempt=$((attempt + 1))" || return 1
  rm -f "$dir/again"
  release "$id"
  _name=${HELD_ENTRY##*/}
  mv "$HELD_ENTRY" "$QUEUE/waiting/${_name%%".$id."*}.$id"
  left=0
}

# end_members DIR: processes of an attempt that outlived its leader, before the next one
end_members() {
  for _signal in TERM KILL KILL; do
    find_last_members "$1"
    [ -n "$PIDS" ] || return 0
    # shellcheck disable=SC2086 # pids
    kill -s $_signal $PIDS 2>/dev/null
    pause 50
  done
}

# attempt_settled: it runs: it need not be put back into the queue, unless its loss would
# be followed by another
attempt_settled() {
  [ -n "$attempt" ] || return 0
  [ "$attempt" -le "$_retries" ] || rm -f "$HELD_ENTRY"
  on_alarm # a watcher of its own: no worker's clock has this job
}

# attempts_over: the job ended: its secrets go, and what it claimed
attempts_over() {
  [ -n "$attempt" ] || return 0
  rm -f "$HELD_ENTRY" "$dir/env" "$dir/login" "$dir/again"
  [ "${left:-0}" != 0 ] || release "$id" # what it left may use them
}
