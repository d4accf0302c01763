# shellcheck shell=sh
# Watching over a job that lasts: its deadline, its limits, a full disk.

# alarms: one clock for all jobs of a worker, a line each: when to look, and what at. A
# job that lasts is watched over from then on; one that is over by then costs no process.
# Ends with its worker; those that it watches over are then on their own.
alarms() {
  trap '' HUP PIPE TERM INT
  while read -r _at timeout grace cap wait dir; do
    now
    [ "$_at" -le "$UP" ] || nap $((_at - UP))
    get_state "$dir" && [ "$PHASE" != ended ] || continue
    id=${dir##*/}
    watch_over &
  done
}

# watch_over: says `late` to who waits for the end, then looks now and then while the
# leader lives: holds the streams under cap, notes a full disk, stops it at its timeout
watch_over() {
  SLEEP=
  trap '[ -z "$SLEEP" ] || kill "$SLEEP"; exit 0' USR1
  trap - TERM INT
  [ "$wait" = 0 ] || say late
  await_leader || return 0
  exec 7>&-
  _mark=${dir%/jobs/*}/live/$id
  proc self # $$ is the worker
  printf '%s\n' "$ITS $TICKS" >"$_mark"
  while now && left=$((up0 + timeout - UP)) && alive "$leader" "$lticks"; do
    if [ "$timeout" -gt 0 ] && [ "$left" -le 0 ]; then
      apart stop "$dir" "$grace" timed-out
      return 0
    fi
    # who says nothing fills nothing; a thousand such jobs must not wear the machine out
    if grew; then step=200; else step=500; fi
    [ "$timeout" = 0 ] || [ "$left" -ge "$step" ] || step=$left
    nap "$step"
    [ "$cap" = 0 ] || ! grew || hold_down
    [ -e "$dir/incomplete" ] || room || spoil
  done
  # its supervisor takes the mark away, unless it looked before we put it there
  get_state "$dir" && [ "$PHASE" != ended ] && return 0
  rm -f "$dir/probe"
  [ "$SURVIVORS" -gt 0 ] || rm -f "$_mark"
}

# await_leader: leader lticks up0, once it runs; who waits for its first word is told
# after two seconds that none came
await_leader() {
  while [ "$PHASE" = starting ]; do
    now
    [ $((UP - UP0)) -le $START_WINDOW ] || return 1
    [ "$wait" != 0 ] || [ $((UP - UP0)) -lt 200 ] || { wait=-1 && say late; }
    nap 5
    get_state "$dir" || return 1
  done
  leader=$LEADER lticks=$LTICKS up0=$UP0
  [ "$PHASE" = running ]
}

# grew: was anything written since we last looked? Without a fork.
# shellcheck disable=SC3013 # dash, bash and busybox all have -nt
grew() {
  [ ! -e "$dir/probe" ] || [ "$dir/log" -nt "$dir/probe" ] || [ "$dir/stderr" -nt "$dir/probe" ]
}

# hold_down: cut a stream that outgrew its cap back to it; it goes on, the rest is gone
hold_down() {
  for _f in "$dir/log" "$dir/stderr"; do
    [ -e "$_f" ] || continue
    _size=$(stat -c %s "$_f") || continue
    [ "$_size" -gt "$cap" ] || continue
    spoil
    truncate -s "$cap" "$_f"
  done
}

# room: can the log still grow?
room() {
  printf '%4096s' . >"$dir/probe"
  _r=$?
  printf '' >"$dir/probe"
  return $_r
}

# spoil: the log lacks something
spoil() {
  printf '' >"$dir/incomplete" && return 0
  was_full "${dir%/jobs/*}"
  rm -f "${dir%/jobs/*}/ballast"
  printf '' >"$dir/incomplete"
}
