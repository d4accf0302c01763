# shellcheck shell=sh
# Watching over a job that lasts: its deadline, its limits, a full disk.

# clock: one clock for all jobs of a worker, a line each: when to look, and what at. A
# job that lasts is watched over from then on; one that is over by then costs no process.
# Ends with its worker; those that it watches over are then on their own. The line that it
# waits for is in $1, for who takes its place if it is killed; `none` is there otherwise.
clock() {
  trap '' HUP PIPE TERM INT
  while :; do
    _at=
    read -r _at timeout grace cap wait id <"$1"
    case $_at in
      '' | none)
        read -r _at timeout grace cap wait id || return 0
        overwrite "$1" "$_at $timeout $grace $cap $wait $id"
        ;;
    esac
    dir=$JOBS/$id
    now
    _left=$((${_at:-0} - UP))
    # no program for each of many short commands: it looks 20 times a second, not oftener
    [ $_left -le 0 ] || [ $_left -ge 5 ] || _left=5
    [ $_left -le 0 ] || pause $_left
    on_alarm
    overwrite "$1" none
  done
}

# on_alarm: the job of that line is watched over, unless it is over
on_alarm() {
  get_state "$dir" || { [ ! -d "$dir" ] && find_again "$dir" && get_state "$dir"; } || return 0
  id=${dir##*/}
  if [ "$PHASE" = ended ]; then limit_the_rest; else watch_job & fi
}

# limit_the_rest: what an ended job left running may write on
limit_the_rest() {
  [ "$cap" = 0 ] || [ "$SURVIVORS" = 0 ] || limit_logs
}

# watch_job: says `late` to who waits for the end, then looks now and then while the
# leader lives: keeps the record, notes a full disk, stops it at its timeout
watch_job() {
  SLEEP=
  trap '[ -z "$SLEEP" ] || kill "$SLEEP"; exit 0' USR1
  trap - TERM INT
  [ "$wait" = 0 ] || tell_worker late
  await_leader || return 0
  exec 7>&-
  _mark=${dir%/jobs/*}/live/$id _record=${LINE% running} _kind=bg
  [ ! -e "$dir/stderr" ] || _kind='fg'
  read_stat self # $$ is the worker
  printf '%s\n' "$ITS $TICKS" >"$_mark"
  while now && left=$((up0 + timeout - UP)) && is_alive "$leader" "$lticks"; do
    [ -d "$dir" ] || restore_record "$dir" $_kind "$_record"
    if [ "$timeout" -gt 0 ] && [ "$left" -le 0 ]; then
      at_deadline
      return 0
    fi
    # who says nothing fills nothing; a thousand such jobs must not wear the machine out
    if log_grew; then step=200; else step=500; fi
    [ "$timeout" = 0 ] || [ "$left" -ge "$step" ] || step=$left
    [ "$cap" = 0 ] || limit_logs
    pause "$step"
    log_can_grow || note_full_log
  done
  # its supervisor takes the mark away, unless it looked before we put it there
  get_state "$dir" && [ "$PHASE" != ended ] && return 0
  rm -f "$dir/probe"
  [ "$SURVIVORS" -gt 0 ] || rm -f "$_mark"
}

# at_deadline: by the record, unless its name is another job's by now
at_deadline() {
  if get_state "$dir" && [ "$LEADER.$LTICKS" = "$leader.$lticks" ]; then
    run_detached stop "$dir" "$grace" timed-out
    return
  fi
  kill -s TERM -- "-$leader"
  pause $((grace * 100))
  is_alive "$leader" "$lticks" && kill -s KILL -- "-$leader"
}

# await_leader: leader lticks up0, once it runs; who waits for its first word is told
# after two seconds that none came
await_leader() {
  while [ "$PHASE" = starting ]; do
    now
    [ $((UP - UP0)) -le $START_WINDOW ] || return 1
    [ "$wait" != 0 ] || [ $((UP - UP0)) -lt 200 ] || { wait=-1 && tell_worker late; }
    pause 5
    get_state "$dir" || return 1
  done
  leader=$LEADER lticks=$LTICKS up0=$UP0
  [ "$PHASE" != ended ] || limit_the_rest
  [ "$PHASE" = running ]
}

# log_grew: was anything written since we last looked? Without a fork.
# shellcheck disable=SC3013 # dash, bash and busybox all have -nt
log_grew() {
  [ ! -e "$dir/probe" ] || [ "$dir/log" -nt "$dir/probe" ] || [ "$dir/stderr" -nt "$dir/probe" ]
}

# log_can_grow: can the log still grow?
log_can_grow() {
  printf '%4096s' . >"$dir/probe"
  _r=$?
  printf '' >"$dir/probe"
  return $_r
}

# note_full_log: the disk is full now: this log lacks something, and so may those of others
note_full_log() {
  [ ! -d "$dir" ] || note_disk_full "${dir%/jobs/*}"
  [ -e "$dir/incomplete" ] || mark_incomplete
}

# mark_incomplete: the log lacks something
mark_incomplete() {
  printf '' >"$dir/incomplete" && return 0
  [ -d "$dir" ] || return 1 # removed: the disk is not full for that
  note_disk_full "${dir%/jobs/*}"
  rm -f "${dir%/jobs/*}/ballast"
  printf '' >"$dir/incomplete"
}
