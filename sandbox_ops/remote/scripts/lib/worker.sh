# shellcheck shell=sh
# The resident worker: a loop over one SSH channel. A request is a line
# `#SEQ LINES LENGTH` and a body of quoted words, the first a do_ function; an answer is
# segments, each some bytes and then a line `NONCE WHAT ...` that says what they were.
# The trailer follows the bytes because a file may shrink while it is sent. Each line of
# a request begins with `#`: to a shell that took our place it is a comment.
#
# Its files: 9 the channel, 1 its answers, 7 what supervisors say, 6 their alarms.

worker() {
  trap '' HUP PIPE
  trap 'crashed $?' EXIT # an error of ours must not look like a start-up file's (boot)
  NONCE='' REQUEST=start-up HELD_BACK=''
  UMASK=$(umask)
  IFS= read -r NONCE || exit 81
  NONCE=${NONCE#?}
  exec 9<&0 </dev/null 2>/dev/null
  prepare_folders again
  keep_errors "$BASE/errors.$$.$NODE"
  machine_id
  JOBS=$BASE/jobs QUEUE=$BASE/queue/$NODE
  read_stat self && SELF="pid=$ITS ticks=$TICKS machine=$MACHINE host=$NODE" MYSELF=$ITS.$TICKS@$MACHINE
  read_epoch
  [ -n "$UNREADY" ] || [ -n "$SETSID" ] ||
    UNREADY="refused setsid is missing on this machine: install util-linux"
  if [ -z "$UNREADY" ]; then
    keep_functions
    find_adopters
    listen
    find_oom_file
    [ ! -d "$BASE/queue" ] || { adopt_queues; ensure_keeper; }
  fi
  trailer noise # whatever a start-up file printed before us
  printf '%s' "$BASE"
  trailer "hello login=${LOGIN-ok} machine=$MACHINE"
  while IFS= read -r _head <&9; do
    # shellcheck disable=SC2086 # three numbers
    set -- ${_head#?}
    _seq=$1 _body=
    if [ "$2" -gt 0 ]; then
      _n=$2
      while [ "$_n" -gt 0 ]; do
        IFS= read -r _line <&9 || exit 81
        _body="$_body${_line#?}
"
        _n=$((_n - 1))
      done
    else
      _body=$(dd bs="$3" count=1 iflag=fullblock <&9 | cut -c2-) # `head` may take more
    fi
    case $_body in *"#$1" | *"#$1
") ;; *) exit 81 ;; esac # cut off by a dying link: half a request is none
    REAP='' REQUEST=${_body%% *}
    forget_errors
    eval "$_body"
    trailer "end $_seq"
    [ -z "$REAP" ] || wait "$REAP"
  done
  exit 81
}

# crashed STATUS: an error ended this shell: says what it was, and over which request.
# Its own exits (81) and signals are no crashes.
crashed() {
  trap - EXIT
  [ "$1" != 81 ] && [ "$1" -le 128 ] && [ -n "$NONCE" ] || { remove_errors; exit 81; }
  HELD_BACK=
  read_errors # the last words are those that it died of; before them others may have complained
  printf '%s' "${WHY:-status $1}"
  trailer "crashed $REQUEST"
  remove_errors
  exit 81
}

# listen: a fifo that supervisors speak into, and one to the clock that wakes for them
listen() {
  mkfifo "$BASE/fifo.$$.$MACHINE" "$BASE/alarm.$$.$MACHINE" || return
  exec 7<>"$BASE/fifo.$$.$MACHINE" 5<>"$BASE/alarm.$$.$MACHINE" # opening one end alone would wait
  exec 4<"$BASE/alarm.$$.$MACHINE"
  exec 6>"$BASE/alarm.$$.$MACHINE" 5>&-
  ( # redirected from within: of a function's streams dash keeps the old ones open
    exec <&4 >/dev/null 2>&1 4<&- 6>&- 9<&-
    trap '' TERM INT
    printf 'none\n' >"$BASE/alarm.$$.$MACHINE.now"
    _n=0 # a second process, which restarts the clock where it is killed
    while [ $_n -lt 100 ]; do
      (clock "$BASE/alarm.$$.$MACHINE.now")
      [ $? -gt 128 ] || break
      _n=$((_n + 1))
    done
    rm -f "$BASE/alarm.$$.$MACHINE.now"
  ) &
  exec 4<&-
  rm -f "$BASE/fifo.$$.$MACHINE" "$BASE/alarm.$$.$MACHINE"
}

# trailer WHAT: what the bytes before it were; sends what was held back for it
trailer() {
  printf '%s\n%s %s\n' "$HELD_BACK" "$NONCE" "$1"
  HELD_BACK=
}

# hold_back TEXT WHAT: a segment that goes with the next `trailer`, in one write: each is a packet.
# Who sends bytes by a program says `send_held` before.
hold_back() {
  HELD_BACK="$HELD_BACK$1
$NONCE $2
"
}

send_held() {
  printf '%s' "$HELD_BACK"
  HELD_BACK=
}

# answer_error KIND MESSAGE: the answer is that error; kinds as in errors.py, with a word for
# the case behind it where there is more to say of it ("refused directory"): the words of
# hints are in machine_errors.py
answer_error() {
  REFUSED=1
  printf '%s' "$2"
  trailer "error $1"
}

# do_pin REFERENCE YES: whether its record stays whatever its age (1) or not (0)
do_pin() {
  resolve "$1"
  shift
  set -- "$_id" "$@"
  find_record "$JOBS/$1" || { answer_error not-found "no job $1"; return; }
  if [ "$2" = 0 ]; then
    rm -f "$JOBS/$1/pinned"
  elif ! printf '' >"$JOBS/$1/pinned"; then
    answer_error refused "cannot write in $JOBS/$1: is the disk full, or read-only?"
  fi
}

# do_poll [REFERENCE MODE OFFSET MAX STDERR_OFFSET STDERR_MAX]...: see emit_job
do_poll() {
  while [ $# -ge 6 ]; do
    emit_job "$1" "$2" "$3" "$4" "$5" "$6"
    shift 6
  done
}

# do_stop REFERENCE GRACE_S: the stopper goes on by itself; poll tells how far it is
do_stop() {
  resolve "$1"
  shift
  set -- "$_id" "$@"
  find_record "$JOBS/$1" || { answer_error not-found "no job $1"; return; }
  get_state "$JOBS/$1" && find_life "$JOBS/$1"
  [ "$PHASE.$LIFE" != ended.elsewhere ] || LIFE=gone
  if [ "$LIFE" = elsewhere ]; then
    answer_error refused "$1 runs on $ON, another machine with this home: stop it there"
    return
  fi
  if [ -e "$JOBS/$1/slurm" ] && ! has_plain_files "$JOBS/$1"; then
    answer_error refused "the folder of $1 holds $ODD, which is no regular file: remove it, or end the job by scancel"
    return
  fi
  rm -f "$JOBS/$1/swept"
  run_detached stop "$JOBS/$1" "$2" stopped
  get_state "$JOBS/$1"
  trailer "stopping $1 phase=$PHASE"
}
