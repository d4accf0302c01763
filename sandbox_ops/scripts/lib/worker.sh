# shellcheck shell=sh
# The resident worker: a loop over one SSH channel. A request is a line
# `SEQ LINES LENGTH` and a body of quoted words, the first a do_ function; an answer is
# segments, each some bytes and then a line `NONCE WHAT ...` that says what they were.
# The trailer follows the bytes because a file may shrink while it is sent.

# boot: runs in the bare shell of a new channel. Keeps the library on disk, then gives
# the channel to a worker inside the login environment (what `bash -lc` gives).
boot() {
  IFS= read -r _hash
  UMASK=$(umask)
  prepare
  LIBRARY=$ROOT/lib/$_hash.sh
  if [ -z "$UNREADY" ] && [ ! -s "$LIBRARY" ]; then
    # shellcheck disable=SC2154 # l: the bootstrap's variable that holds this text
    { printf '%s\n' "$l" >"$LIBRARY.$$" && mv -f "$LIBRARY.$$" "$LIBRARY"; } 2>/dev/null ||
      UNREADY="refused cannot write $LIBRARY: is the disk full, or read-only?"
  fi
  LOGIN=none
  if [ -z "$UNREADY" ] && command -v bash >/dev/null 2>&1; then
    # start-up files may print, read and redirect: the channel waits on fds 8 and 9
    umask "$UMASK" # the user's own, for the user's commands
    bash -lc 'exec /bin/sh "$0" worker <&8 >&9 8<&- 9>&-' "$LIBRARY" \
      8<&0 9>&1 </dev/null >/dev/null 2>&1
    [ $? != 81 ] || exit 0
    LOGIN=failed # a start-up file ended the shell, or became another one
  fi
  worker
}

# prepare: ROOT BASE, our folders under $HOME, and why they cannot be used: UNREADY
prepare() {
  UNREADY='' _host=
  umask 077
  ROOT=$HOME/.sandbox-ops
  { read -r _host </proc/sys/kernel/hostname; } 2>/dev/null
  case $_host in '' | .* | *[!A-Za-z0-9._-]*) _host=machine ;; esac
  for _tool in cat chmod date dd grep head mkdir mkfifo mv rm sleep stat tail tr wc; do
    command -v $_tool >/dev/null 2>&1 ||
      { UNREADY="refused $_tool is missing on this machine: install it"; return; }
  done
  BASE=$ROOT/v1/$_host
  [ ! -h "$ROOT" ] || { UNREADY="denied $ROOT is a symbolic link: make it a folder of yours"; return; }
  for _d in "$ROOT" "$ROOT/lib" "$ROOT/v1" "$BASE" "$BASE/jobs" "$BASE/tokens" "$BASE/claims" \
    "$BASE/live"; do
    [ -d "$_d" ] || mkdir "$_d" 2>/dev/null || [ -d "$_d" ] ||
      { UNREADY="refused cannot make $_d: is the disk full, or read-only?"; return; }
  done
  # shellcheck disable=SC3067 # dash, bash and busybox all have it
  [ -O "$ROOT" ] && [ -O "$BASE" ] || { UNREADY="denied $ROOT belongs to another user"; return; }
  chmod 700 "$ROOT"
  [ -s "$BASE/ballast" ] || { printf '%65536s' . >"$BASE/ballast"; } 2>/dev/null ||
    UNREADY="refused cannot write in $BASE: is the disk full, or read-only?"
}

worker() {
  trap '' HUP
  UMASK=$(umask)
  IFS= read -r NONCE || exit 81
  prepare
  machine_id
  JOBS=$BASE/jobs
  proc $$ && SELF="pid=$$ ticks=$TICKS machine=$MACHINE"
  EPOCH=$(date +%s)
  now
  EPOCH_UP=$UP
  if [ -z "$SETSID" ]; then
    UNREADY="refused setsid is missing on this machine: install util-linux"
  elif [ -z "$UNREADY" ]; then
    mkfifo "$BASE/fifo.$$" && exec 7<>"$BASE/fifo.$$" && rm -f "$BASE/fifo.$$"
  fi
  trailer noise # whatever a start-up file printed before us
  printf '%s' "$BASE"
  trailer "hello login=${LOGIN-ok} machine=$MACHINE"
  while IFS= read -r _head; do
    # shellcheck disable=SC2086 # three numbers
    set -- $_head
    _seq=$1 _body=
    if [ "$2" -gt 0 ]; then
      _n=$2
      while [ "$_n" -gt 0 ]; do
        IFS= read -r _line || exit 81
        _body="$_body$_line
"
        _n=$((_n - 1))
      done
    else
      _body=$(dd bs="$3" count=1 iflag=fullblock) # exactly so much; `head` may take more
    fi
    case $_body in *"#$1" | *"#$1
") ;; *) exit 81 ;; esac # cut off by a dying link: half a request is none
    eval "$_body" </dev/null 2>/dev/null
    trailer "end $_seq"
  done
  exit 81
}

trailer() {
  printf '\n%s %s\n' "$NONCE" "$1"
}

# no KIND MESSAGE: the answer is that error; kinds as in errors.py
no() {
  printf '%s' "$2"
  trailer "error $1"
}

# do_start TOKEN KIND TIMEOUT_CS GRACE_S CAP_BYTES WAIT_CS MAX_BYTES SHELL CWD SPEC ENV
#   COMMAND CLAIMS [FILE CONTENT]...
# One job a token, however often it is asked. Everything is on disk before the process
# is; a write that fails takes the folder away again.
do_start() {
  [ -z "$UNREADY" ] || { no "${UNREADY%% *}" "${UNREADY#* }"; return; }
  [ -s "$LIBRARY" ] && [ -d "$JOBS" ] && [ -d "$BASE/live" ] || exit 81 # removed: anew
  _token=$1 _kind=$2 _timeout=$3 _grace=$4 _cap=$5 _wait=$6 _max=$7 _shell=$8 _cwd=${9:-$HOME}
  if { read -r _id <"$BASE/tokens/$_token"; } && [ -n "$_id" ]; then
    emit_job "$_id" j 0 "$_max" 0 "$_max"
    return
  fi
  [ -d "$_cwd" ] || { no not-found "no such directory: $_cwd"; return; }
  [ -x "$_cwd" ] || { no denied "cannot enter $_cwd"; return; }
  [ "$_shell" != bash ] || command -v bash >/dev/null || _shell='sh'
  new_id || { no refused "cannot make a folder under $JOBS: is the disk full, or read-only?"; return; }
  _d=$JOBS/$_id
  now
  _t0=$((EPOCH * 100 + UP - EPOCH_UP))
  shift 9
  if ! fill "$_d" "$@"; then
    rm -rf "$_d"
    no refused "cannot write the job's record in $_d: the disk is full, or read-only"
    return
  fi
  if [ -n "$4" ] && ! claim_all "$4"; then
    for _mine in $4; do rm -f "$BASE/claims/$_mine.$_id"; done
    rm -rf "$_d"
    return
  fi
  set -C
  if ! { printf '%s\n' "$_id" >"$BASE/tokens/$_token"; }; then
    set +C # the same request, sent again, was quicker
    rm -rf "$_d"
    read -r _id <"$BASE/tokens/$_token"
    emit_job "$_id" j 0 "$_max" 0 "$_max"
    return
  fi
  set +C
  (
    umask "$UMASK"
    # shellcheck disable=SC2086
    exec $SETSID sh "$LIBRARY" supervise "$_d" "$_kind" "$_timeout" "$_grace" "$_cap" \
      "$_wait" "$_shell" "$_cwd" "$_t0" "$MACHINE" >/dev/null 2>"$_d/supervisor"
  ) &
  while read -r _who _what <&7; do
    [ "$_who" = "$_id" ] || continue
    [ "$_what$_wait" = started0 ] || [ "$_what" != started ] || continue
    break
  done
  emit_job "$_id" j 0 "$_max" 0 "$_max"
}

# new_id: _id, claimed by mkdir. `last` is a hint that may lag or be lost; `floor` is
# not: no number up to it is given again, for a record of that number may be pruned.
new_id() {
  _floor=0
  hint
  read -r _floor <"$BASE/floor"
  [ "${_floor:-0}" -le "$_n" ] || _n=$_floor
  _taken=0
  while :; do
    _n=$((_n + 1))
    _id=remote-$_n
    mkdir "$JOBS/$_id" && break
    [ -d "$JOBS/$_id" ] || return 1
    _taken=$((_taken + 1))
    [ $_taken != 50 ] || newest # far behind: from the highest that there is
  done
  printf '%s\n' "$_n" >"$BASE/last"
  if [ $((_n % 200)) = 0 ]; then
    # shellcheck disable=SC2086
    $SETSID sh "$LIBRARY" prune "$BASE" >/dev/null 2>&1 7>&- &
  fi
}

# newest: _n = the highest number among the folders
newest() {
  # shellcheck disable=SC2012 # our own names
  _n=$(ls -f "$JOBS" | sed -n 's/^remote-\([0-9]*\)$/\1/p' | sort -n | tail -n 1)
}

# fill DIR SPEC ENV COMMAND CLAIMS [FILE CONTENT]...: the record, each write checked
fill() {
  _f=$1
  printf '%s\n' "$2" >"$_f/spec.json" && [ -s "$_f/spec.json" ] &&
    printf '%s\n' "$4" >"$_f/command" && [ -s "$_f/command" ] &&
    printf '%-510s.\n' "starting $SELF t0=$_t0 up0=$UP starting" >"$_f/state" &&
    [ -s "$_f/state" ] && printf '' >"$_f/log" || return 1
  [ "$_kind" = bg ] || printf '' >"$_f/stderr" || return 1
  [ -z "$3" ] || printf '%s\n' "$3" >"$_f/env" || return 1
  shift 5
  while [ $# -gt 1 ]; do
    printf '%s' "$2" >"$_f/$1" || return 1
    shift 2
  done
}

# claim_all KEYS: this job alone may hold them (a name, a GPU). Each start first leaves
# its mark, then looks for the others': of two at once neither can miss both.
claim_all() {
  for _key in $1; do
    printf '' >"$BASE/claims/$_key.$_id" && continue
    no refused "cannot write in $BASE/claims: is the disk full, or read-only?"
    return 1
  done
  for _key in $1; do
    for _mark in "$BASE/claims/$_key".remote-*; do
      _other=${_mark##*.}
      [ "$_other" != "$_id" ] || continue
      if busy "$JOBS/$_other"; then
        no refused "$_key is held by $_other, which has not ended"
        return 1
      fi
      rm -f "$_mark"
    done
  done
}

# do_pin ID YES: whether its record stays whatever its age (1) or not (0)
do_pin() {
  [ -d "$JOBS/$1" ] || { no not-found "no job $1"; return; }
  if [ "$2" = 0 ]; then
    rm -f "$JOBS/$1/pinned"
  elif ! printf '' >"$JOBS/$1/pinned"; then
    no refused "cannot write in $JOBS/$1: is the disk full, or read-only?"
  fi
}

# do_poll [ID MODE OFFSET MAX STDERR_OFFSET STDERR_MAX]...: see emit_job
do_poll() {
  while [ $# -ge 6 ]; do
    emit_job "$1" "$2" "$3" "$4" "$5" "$6"
    shift 6
  done
}

# do_stop ID GRACE_S: the stopper goes on by itself; poll tells how far it is
do_stop() {
  [ -d "$JOBS/$1" ] || { no not-found "no job $1"; return; }
  rm -f "$JOBS/$1/swept"
  # shellcheck disable=SC2086
  $SETSID sh "$LIBRARY" stop "$JOBS/$1" "$2" stopped >/dev/null 2>&1 7>&- &
  get_state "$JOBS/$1"
  trailer "stopping $1 phase=$PHASE"
}
