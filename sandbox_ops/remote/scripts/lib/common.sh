# shellcheck shell=sh
# What worker, supervisor and stopper share: who a process is, and a job's state line.
#
# Rules of this library: POSIX sh (dash, bash, busybox ash); no fork where a builtin
# does; a function answers in the UPPER-CASE variables that its comment names.
# A process is known by pid and start ticks, a machine's life by $MACHINE: boot id,
# start ticks of PID 1 and pid namespace (a restarted container keeps its boot id).

# before a name of ours hides one: what a command is to find in its environment
# (SANDBOX_OPS_SH is ours, and says to a new life what SH is)
set -- "${SANDBOX_OPS_SH-}" "$@"
unset SANDBOX_OPS_SH
case ${2-} in '' | worker | slurm_job) LOGIN_ENV=$(export -p) ;; esac
SH=${1:-$0}
shift
# what a start-up file did to PATH is the commands' matter, not ours
command -v dd >/dev/null || PATH=$PATH:/usr/local/bin:/usr/bin:/bin
unset DD_BYTES GREP_Z HELD LOGIN NAPS SEEN SKIPS
IFS=' 	
'
# so many centiseconds after its start a job that has not begun never will (job_replies.py)
START_WINDOW=3000

# read_epoch: EPOCH = seconds since 1970 when UP was EPOCH_UP; UP. To the centisecond, where `date`
# tells so much: of two jobs that two clients start within a second the second is the later one.
read_epoch() {
  EPOCH=$(date +%s.%N)
  now
  EPOCH_UP=$UP
  case ${EPOCH#*.} in
    [0-9][0-9]*)
      _part=${EPOCH#*.}
      decimal "${_part%"${_part#??}"}"
      EPOCH_UP=$((UP - NUMBER))
      ;;
  esac
  EPOCH=${EPOCH%%.*}
}

# is_alive PID TICKS: that very process lives (a zombie does not)
is_alive() {
  [ -n "$1" ] && read_stat "$1" && same_start "$2" && [ "$STATE" != Z ] && [ "$STATE" != X ]
}

# overwrite FILE LINE: its first line, by one write and without truncating it: a file system that
# sees a file truncated and written goes to the disk at once, so that a crash leaves no empty one
overwrite() {
  printf '%s\n' "$2" 1<>"$1"
}

# put_state DIR WORDS: overwrite the state line in its reserved 512 bytes. In place,
# so that a full disk cannot take the exit code away; the first word stands again at
# the end, so that a reader sees a torn write.
put_state() {
  { printf '%s\n%511s' "$2 ${2%% *}" '' 1<>"$1/state"; } 2>/dev/null && return 0
  [ -w "$1/state" ] || return 1 # removed, or closed to us: the disk is not full for that
  note_disk_full "${1%/jobs/*}"
  rm -f "${1%/jobs/*}/ballast" # a copy-on-write file system needs room even for this
  { printf '%s\n%511s' "$2 ${2%% *}" '' 1<>"$1/state"; } 2>/dev/null
}

# note_disk_full BASE: note when, in the reserved bytes of `full`. Before the ballast goes: the
# room that it makes hides from other jobs that their logs lack something, too.
note_disk_full() {
  now
  { printf '%s\n%99s' "$UP $MACHINE" '' 1<>"$1/full"; } 2>/dev/null
}

# note_if_full BASE: the same, where the disk is full now: before any room is made there, for
# it hides from other jobs that there was none
note_if_full() {
  { printf '%4096s' . >"$1/room"; } 2>/dev/null || note_disk_full "$1"
  { printf '' >"$1/room"; } 2>/dev/null
}

# get_state DIR: LINE, and from it PHASE PID PTICKS WHERE (its MACHINE) ON (its NODE) LEADER
# LTICKS T0 UP0 UP1 SURVIVORS; of a job of the queue also Q0 (when it was queued) and ATTEMPT
get_state() {
  for _try in 1 2 3; do
    LINE='' _last='' _word=
    [ ! -f "$1/state" ] || { read -r LINE <"$1/state"; } 2>/dev/null # a pipe would wait for ever
    PHASE=none PID='' PTICKS='' WHERE='' ON='' LEADER='' LTICKS='' T0='' UP0='' UP1='' SURVIVORS=0
    Q0='' ATTEMPT=''
    for _word in $LINE; do
      case $_word in # numbers only: in arithmetic another text may end the shell
        pid=* | ticks=* | leader=* | lticks=* | t0=* | up0=* | up1=* | survivors=* | q0=* | attempt=*)
          case ${_word#*=} in '' | *[!0-9]* | 0?*) continue ;; esac ;;
      esac
      case $_word in
        pid=*) PID=${_word#*=} ;;
        ticks=*) PTICKS=${_word#*=} ;;
        machine=*) WHERE=${_word#*=} ;;
        host=*) ON=${_word#*=} ;;
        leader=*) LEADER=${_word#*=} ;;
        lticks=*) LTICKS=${_word#*=} ;;
        t0=*) T0=${_word#*=} ;;
        up0=*) UP0=${_word#*=} ;;
        up1=*) UP1=${_word#*=} ;;
        survivors=*) SURVIVORS=${_word#*=} ;;
        q0=*) Q0=${_word#*=} ;;
        attempt=*) ATTEMPT=${_word#*=} ;;
        .) ;;
        *=*) ;;
        *) [ "$PHASE" = none ] && PHASE=$_word || _last=$_word ;;
      esac
    done
    [ "$PHASE" = "$_last" ] && break
  done
  [ "$PHASE" != none ]
}

# find_life DIR: LIFE = supervised | orphaned (its supervisor is gone) | gone | restarted (its
# machine is over) | elsewhere (on another machine that shares this home); call it after
# get_state
find_life() {
  LIFE=gone
  if [ "$WHERE" != "$MACHINE" ]; then
    LIFE=restarted
    [ -e "$1/slurm" ] || [ "${ON:-$NODE}" = "$NODE" ] || ! has_heartbeat "$1" || LIFE=elsewhere
  elif is_alive "$PID" "$PTICKS"; then
    LIFE=supervised
  elif is_alive "$LEADER" "$LTICKS"; then
    LIFE=orphaned
  fi
  case $PHASE.$LIFE in ended.* | *.supervised | *.orphaned) return 0 ;; esac
  [ ! -e "$1/slurm" ] || find_slurm_life "$1"
}

# has_heartbeat DIR: somebody wrote into that record in the last half minute, as the watcher of a
# job does every 5 s. By the clock of the file system, which is one for all who share it.
has_heartbeat() {
  printf '%s\n' "$NODE" >"${1%/jobs/*}/beat"
  # shellcheck disable=SC2046 # numbers
  set -- $(stat -c %Y "${1%/jobs/*}/beat" "$1/state" "$1/probe" 2>/dev/null)
  [ $# -ge 2 ] || return 1
  [ $(($1 - $2)) -le 30 ] || [ $(($1 - ${3:-0})) -le 30 ]
}

# is_active DIR: the job there has not ended, or its stopper is still at work
is_active() {
  get_state "$1" || return 1
  LIFE=queued
  [ "$PHASE" != queued ] || return 0
  find_life "$1"
  case $PHASE.$LIFE in
    running.gone | *ing.restarted) [ -e "$1/again" ] ;; # it is to be tried again
    ended.restarted | *.elsewhere) false ;;
    ended.*) is_stopping "$1" ;;
    *.supervised | *.orphaned) ;;
    *) false ;;
  esac
}

# is_stopping DIR: a stopper began there, has not reported, and may be alive (job_replies.py)
is_stopping() {
  [ -e "$1/stopping" ] && [ ! -e "$1/stopped" ] || return 1
  read -r _why _when <"$1/stopping" && now && [ $((UP - ${_when:-0})) -lt 12000 ]
}

# find_members DIR: PIDS = live processes that carry the job's marker or are in its leader's
# session. Only what we may read. Call it after get_state.
find_members() {
  find_living "$1"
  [ -z "$LEADER" ] || add_session_members
}

# find_last_members DIR: find_members for who decides that nobody is left. A process that is just
# becoming another program (execve) shows no environment in that moment: none is looked for twice.
find_last_members() {
  find_members "$1"
  [ -z "$PIDS" ] || return 0
  pause 2
  find_members "$1"
}

# add_session_members: adds those in the leader's session. After its end that number may be another process's:
# while one member is as old as the leader's end, the kernel gives it to nobody.
add_session_members() {
  _kin='' _ours=''
  if read_stat "$LEADER"; then
    same_start "$LTICKS" || return 0
    _ours=1
    now
    SEEN=$UP # who is as old as that can only be ours
  elif [ "$PHASE" = running ] && is_alive "$PID" "$PTICKS"; then
    _ours=1
  fi
  find_session "$LEADER"
  for _member in $KIN; do
    _p=${_member%:*}
    [ "${_member#*:}" -gt "${UP1:-${SEEN:-0}}" ] || _ours=1
    case " $PIDS " in *" $_p "*) ;; *) _kin="$_kin $_p" ;; esac
  done
  [ -z "$_ours" ] || PIDS="$PIDS$_kin"
}

# pause CENTISECONDS: sleep as a child, SLEEP, so that a trapped signal ends the wait at once
pause() {
  _cs=$(($1 % 100))
  [ "$_cs" -gt 9 ] || _cs=0$_cs
  # shellcheck disable=SC2217 # or it would hold open what its parent reads from
  [ -n "${NAPS-}" ] || { NAPS=whole && sleep 0.01 </dev/null 2>/dev/null && NAPS=exact; }
  if [ "$NAPS" = exact ]; then sleep "$(($1 / 100)).$_cs" & else sleep "$((($1 + 99) / 100))" & fi
  SLEEP=$!
  wait $SLEEP
}

# run_detached LIFE ARGUMENT...: a process of its own that leads another life of this library
run_detached() {
  # shellcheck disable=SC2086 # "setsid" or "busybox setsid", "busybox sh"
  SANDBOX_OPS_SH=$SH $SETSID $SH "$LIBRARY" "$@" </dev/null >/dev/null 2>&1 6>&- 7>&- 9<&- &
}
