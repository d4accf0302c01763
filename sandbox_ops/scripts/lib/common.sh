# shellcheck shell=sh
# What worker, supervisor and stopper share: who a process is, and a job's state line.
#
# Rules of this library: POSIX sh (dash, bash, busybox ash); no fork where a builtin
# does; a function answers in the UPPER-CASE variables that its comment names.
# A process is known by pid and start ticks, a machine's life by $MACHINE: boot id,
# start ticks of PID 1 and pid namespace (a restarted container keeps its boot id).

IFS=' 	
'

# now: UP = centiseconds since boot (the one clock that nobody sets)
now() {
  read -r UP _ </proc/uptime
  UP=${UP%.*}${UP#*.}
}

# proc PID: STATE SID TICKS of a process, as proc(5) has them; fails if it is gone
proc() {
  _stat=
  while IFS= read -r _line; do _stat="$_stat $_line"; done 2>/dev/null <"/proc/$1/stat" || return 1
  _stat=${_stat##*) } # the name before it may hold anything, ')' too
  # shellcheck disable=SC2086 # the fields are wanted apart
  set -- $_stat
  [ $# -ge 20 ] || return 1
  STATE=$1 SID=$4 TICKS=${20}
}

# alive PID TICKS: that very process lives (a zombie does not)
alive() {
  [ -n "$1" ] && proc "$1" && [ "$TICKS" = "$2" ] && [ "$STATE" != Z ] && [ "$STATE" != X ]
}

# machine_id: MACHINE = what tells this life of this machine from every other
machine_id() {
  read -r _boot 2>/dev/null </proc/sys/kernel/random/boot_id || _boot=none
  proc 1 || TICKS=0
  _ns=$(readlink /proc/self/ns/pid 2>/dev/null) || _ns=none
  _ns=${_ns#pid:[}
  MACHINE=$_boot.$TICKS.${_ns%]}
}

# put_state DIR WORDS: overwrite the state line in its reserved 512 bytes. In place,
# so that a full disk cannot take the exit code away; the first word stands again at
# the end, so that a reader sees a torn write.
put_state() {
  { printf '%-510s.\n' "$2 ${2%% *}" 1<>"$1/state"; } 2>/dev/null && return 0
  rm -f "${1%/jobs/*}/ballast" # a copy-on-write file system needs room even for this
  { printf '%-510s.\n' "$2 ${2%% *}" 1<>"$1/state"; } 2>/dev/null
}

# get_state DIR: LINE, and from it PHASE PID PTICKS WHERE LEADER LTICKS T0 SURVIVORS
get_state() {
  for _try in 1 2 3; do
    LINE=
    { read -r LINE <"$1/state"; } 2>/dev/null
    PHASE=none PID='' PTICKS='' WHERE='' LEADER='' LTICKS='' T0='' SURVIVORS=0 _word=
    for _word in $LINE; do
      case $_word in
        pid=*) PID=${_word#*=} ;;
        ticks=*) PTICKS=${_word#*=} ;;
        machine=*) WHERE=${_word#*=} ;;
        leader=*) LEADER=${_word#*=} ;;
        lticks=*) LTICKS=${_word#*=} ;;
        t0=*) T0=${_word#*=} ;;
        survivors=*) SURVIVORS=${_word#*=} ;;
        .) ;;
        *=*) ;;
        *) [ "$PHASE" = none ] && PHASE=$_word || _last=$_word ;;
      esac
    done
    [ "$PHASE" = "${_last-}" ] && break
  done
  [ "$PHASE" != none ]
}

# live DIR: LIFE = supervised | orphaned (its supervisor is gone) | gone | restarted;
# call it after get_state
live() {
  LIFE=gone
  if [ "$WHERE" != "$MACHINE" ]; then
    LIFE=restarted
  elif alive "$PID" "$PTICKS"; then
    LIFE=supervised
  elif alive "$LEADER" "$LTICKS"; then
    LIFE=orphaned
  fi
}

# busy DIR: the job there has not ended
busy() {
  get_state "$1" || return 1
  [ "$PHASE" != ended ] || return 1
  live "$1"
  [ "$LIFE" = supervised ] || [ "$LIFE" = orphaned ]
}

# members DIR LEADER: PIDS = live processes that carry the job's marker or are in its
# leader's session. Only what we may read: another user's processes never match.
members() {
  PIDS=
  # shellcheck disable=SC2013 # paths without blanks
  for _file in $(grep -lzxFs "SANDBOX_JOB=$1" /proc/[0-9]*/environ 2>/dev/null); do
    _p=${_file#/proc/}
    _p=${_p%/environ}
    proc "$_p" && [ "$STATE" != Z ] && PIDS="$PIDS $_p"
  done
  [ -n "$2" ] || return 0
  for _file in /proc/[0-9]*/stat; do
    _p=${_file#/proc/}
    _p=${_p%/stat}
    case " $PIDS " in *" $_p "*) continue ;; esac
    proc "$_p" && [ "$SID" = "$2" ] && [ "$STATE" != Z ] && PIDS="$PIDS $_p"
  done
  return 0
}

# nap CENTISECONDS: sleep as a child, so that a trapped signal ends the wait at once
nap() {
  _cs=$(($1 % 100))
  [ "$_cs" -gt 9 ] || _cs=0$_cs
  { sleep "$(($1 / 100)).$_cs" 2>/dev/null || sleep "$((($1 + 99) / 100))"; } &
  wait $!
}
