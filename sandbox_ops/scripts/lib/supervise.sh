# shellcheck shell=sh
# The supervisor: one process a job, in a session of its own, with nobody connected.
# It starts the leader, waits for it, and writes how it ended. `stop` spares it.

# supervise DIR KIND TIMEOUT_CS GRACE_S CAP_BYTES WAIT_CS SHELL CWD T0 MACHINE
# KIND fg: stdout to `log`, stderr to `stderr`; bg: both to `log`. Zeroes mean none.
# Whoever started it listens on fd 7: `ID started|late|ended` lines.
supervise() {
  dir=$1 kind=$2 timeout=$3 grace=$4 cap=$5 wait=$6 shell=$7 cwd=$8 t0=$9 MACHINE=${10}
  id=${dir##*/} poked=
  trap '' HUP PIPE
  trap 'poked=1' TERM INT USR1
  proc $$ && self="pid=$$ ticks=$TICKS machine=$MACHINE t0=$t0"
  oom_kills
  ooms=$OOMS
  now
  up0=$UP
  if [ "$kind" = fg ]; then
    lead >>"$dir/log" 2>>"$dir/stderr" </dev/null 7>&- &
  else
    lead >>"$dir/log" 2>&1 </dev/null 7>&- &
  fi
  leader=$!
  proc "$leader" || TICKS=0
  self="$self leader=$leader lticks=$TICKS up0=$up0"
  put_state "$dir" "running $self"
  watcher=
  if [ "$wait$timeout$cap" != 000 ]; then
    watch_over 2>/dev/null &
    watcher=$!
  fi
  say started
  while :; do
    poked=
    wait "$leader"
    code=$?
    # a signal to us may have ended the wait: then the leader is still to be waited for
    [ -n "$poked" ] && proc "$leader" || break
  done
  [ -z "$watcher" ] || kill -s USR1 "$watcher" 2>/dev/null
  finish
  # the signal is lost on a watcher that had not yet set its trap: again, until it is gone
  while [ -n "$watcher" ] && proc "$watcher" && [ "$STATE" != Z ]; do
    kill -s USR1 "$watcher" 2>/dev/null
    nap 2
  done
}

# lead: becomes the user's command, leader of a session of its own
lead() {
  trap - HUP PIPE TERM INT USR1
  SANDBOX_JOB=$dir PYTHONUNBUFFERED=1
  export SANDBOX_JOB PYTHONUNBUFFERED
  # shellcheck source=/dev/null
  [ ! -e "$dir/env" ] || . "$dir/env"
  cd "$cwd" || exit 126
  # shellcheck disable=SC2086 # "setsid" or "busybox setsid"
  case $shell in
    bash) exec $SETSID bash --noprofile --norc "$dir/command" ;;
    *) exec $SETSID sh "$dir/command" ;;
  esac
}

# finish: write the end. What the leader was killed by, a shell tells only as 128+n.
finish() {
  now
  reason=exited sure=1 left=0 extra=
  if [ "$code" -gt 128 ] && [ "$code" -le 192 ]; then
    sure=0
    oom_kills
    [ "$code" != 137 ] || [ "${OOMS:-0}" -le "${ooms:-0}" ] || extra="$extra oom=1"
  fi
  if [ -e "$dir/stopping" ]; then
    read -r reason _ <"$dir/stopping"
  else
    leftovers
  fi
  # a second is enough to fill a disk: can the log still grow?
  if [ -e "$dir/incomplete" ] || { [ $((UP - up0)) -gt 100 ] && ! room; }; then
    extra="$extra incomplete=1"
  fi
  put_state "$dir" "ended code=$code reason=$reason sure=$sure up1=$UP survivors=$left$extra $self"
  say ended
}

# say WORD: to whoever started the job, if there still is one
say() {
  { printf '%s %s\n' "$id" "$1" >&7; } 2>/dev/null
}

room() {
  { printf '%4096s' . >"$dir/probe"; } 2>/dev/null
  _r=$?
  rm -f "$dir/probe"
  return $_r
}

# oom_kills: OOMS = how often the kernel killed for memory in our cgroup (v2), or ''
oom_kills() {
  OOMS=
  while IFS=: read -r _n _c _path; do
    [ "$_n" = 0 ] || continue
    while read -r _key _value; do
      [ "$_key" != oom_kill ] || OOMS=$_value
    done 2>/dev/null <"/sys/fs/cgroup$_path/memory.events"
  done 2>/dev/null </proc/self/cgroup
}

# leftovers: left = how many processes of the job outlive the leader. They were all
# born after it; where few pids were given out since, only those are looked at.
leftovers() {
  left=0 _born='' _p=$leader
  read -r _ _ _ _ _last </proc/loadavg
  if [ "${_last:-0}" -lt "$leader" ] || [ $((_last - leader)) -gt 300 ]; then
    members "$dir" "$leader"
    for _p in $PIDS; do left=$((left + 1)); done
    return 0
  fi
  while [ "$_p" -lt "$_last" ]; do
    _p=$((_p + 1))
    [ -e "/proc/$_p/environ" ] && proc "$_p" && [ "$STATE" != Z ] || continue
    if [ "$SID" = "$leader" ]; then
      left=$((left + 1)) # in its session: marked or not, or just becoming a program
    else
      _born="$_born /proc/$_p/environ"
    fi
  done
  [ -n "$_born" ] || return 0
  # shellcheck disable=SC2086 # paths without blanks
  left=$((left + $(grep -lzxFs "SANDBOX_JOB=$dir" $_born | wc -l)))
}

# watch_over: says `late` after wait, holds the streams under cap, stops at timeout
watch_over() {
  trap 'kill $! 2>/dev/null; exit 0' USR1
  trap - TERM INT
  if [ "$wait" -gt 0 ]; then
    nap "$wait"
    say late
  fi
  exec 7>&-
  [ "$timeout$cap" != 00 ] || return 0
  while :; do
    now
    step=200
    [ "$cap" -gt 0 ] || step=$timeout
    [ "$timeout" = 0 ] || [ $((up0 + timeout - UP)) -ge "$step" ] || step=$((up0 + timeout - UP))
    [ "$step" -le 0 ] || nap "$step"
    [ "$cap" = 0 ] || hold_down
    now
    if [ "$timeout" -gt 0 ] && [ $((UP - up0)) -ge "$timeout" ]; then
      # shellcheck disable=SC2086
      $SETSID sh "$LIBRARY" stop "$dir" "$grace" timed-out </dev/null >/dev/null 2>&1 &
      return 0
    fi
  done
}

# hold_down: cut a stream that outgrew its cap back to it; it goes on, the rest is gone
hold_down() {
  for _f in "$dir/log" "$dir/stderr"; do
    [ -e "$_f" ] || continue
    _size=$(stat -c %s "$_f") || continue
    [ "$_size" -gt "$cap" ] || continue
    printf '' >"$dir/incomplete"
    truncate -s "$cap" "$_f"
  done
}
