# shellcheck shell=sh
# The end of a job by what Slurm says of it, where its own files do not say it.

SLURM_FILES_LAG=10 # seconds after Slurm says that a job is over, its files may lag behind

# settle_slurm DIR: Slurm says that it is over (STATE REASON, perhaps CODE), and its files do not. They
# may lag behind; where no process was left to write them, what Slurm says is its end.
settle_slurm() {
  clock_s
  _then=
  case $PHASE.$STATE in
    queued.CANCELLED* | *.NODE_FAIL | *.BOOT_FAIL | *.VANISHED) ;;
    *)
      { read -r _then <"$1/slurm.over"; } 2>/dev/null
      [ -n "$_then" ] || { _then=$NOW_S && printf '%s\n' "$NOW_S" >"$1/slurm.over"; }
      ;;
  esac
  get_state "$1" && [ "$PHASE" != ended ] || return 0
  if [ -n "$_then" ] && [ $((NOW_S - _then)) -lt $SLURM_FILES_LAG ]; then
    LIFE=supervised
    return 0
  fi
  case $PHASE.$STATE in queued.COMPLETED | queued.FAILED) STATE=UNSEEN ;; esac
  case $STATE.$REASON in
    UNSEEN.*) end_by_slurm "$1" 'code=- reason=unseen' ;;
    COMPLETED.*) end_by_slurm "$1" 'code=0 reason=exited' ;;
    FAILED.*) settle_failed "$1" ;;
    OUT_OF_ME*) end_by_slurm "$1" 'code=137 reason=exited oom=1' ;;
    CANCELLED*) settle_cancelled "$1" ;;
    TIMEOUT.* | DEADLINE.*) end_by_slurm "$1" 'code=- reason=timed-out' ;;
    NODE_FAIL.* | REVOKED.*) end_by_slurm "$1" 'code=- reason=node-failed' ;;
    BOOT_FAIL.*) end_by_slurm "$1" 'code=- reason=boot-failed' ;;
    PREEMPTED.*) end_by_slurm "$1" 'code=- reason=preempted' ;;
    VANISHED.*) end_by_slurm "$1" 'code=- reason=forgotten' ;;
    *) SLURM_SAYS="slurm STATE $STATE" LIFE=unclear ;;
  esac
}

# settle_cancelled DIR: by our own stop; because a job that comes first did not succeed; or by others.
# The second Slurm shows as it shows any waiting job that somebody cancelled: with the reason for
# which it waited. So the jobs that come first are looked at.
settle_cancelled() {
  _why='reason=stopped by=slurm'
  if [ -e "$1/stopping" ]; then
    _why='reason=stopped'
  elif [ "$PHASE" = queued ] && _first=$(print_unmet "$1"); then
    _why="reason=unmet after=$_first"
  fi
  end_by_slurm "$1" "code=- $_why"
}

# print_unmet DIR: prints which job that should have succeeded first did not; fails where none is
# known. Call it in a shell of its own: it looks at other jobs.
print_unmet() {
  _unread='' _said=$REASON
  { read -r _unread <"$1/after"; } 2>/dev/null
  _all=$_unread
  while [ -n "$_unread" ]; do
    _other=${_unread%%,*}
    case $_unread in *,*) _unread=${_unread#*,} ;; *) _unread='' ;; esac
    case $_other in *:any) continue ;; esac
    ! has_failed "$_other" || { printf %s "$_other" && return 0; }
  done
  case $_said:$_all in DependencyNeverSatisfied:?*) printf %s "${_all%%,*}" ;; *) return 1 ;; esac
}

# has_failed ID: it ended without success, as its files say, or Slurm does
has_failed() {
  has_plain_files "$JOBS/$1" && get_state "$JOBS/$1" || return 1
  if [ "$PHASE" = ended ]; then
    case $LINE in *' code=0 reason=exited '*) return 1 ;; *) return 0 ;; esac
  fi
  _number='' _since='' _job_token=''
  { read -r _number _since <"$JOBS/$1/slurm.id"; } 2>/dev/null
  { read -r _job_token <"$JOBS/$1/token"; } 2>/dev/null
  [ -n "$_number" ] && { find_row "$_number" "so-$_job_token" || find_account; } || return 1
  case $STATE in
    CANCELLED* | FAILED | TIMEOUT | DEADLINE | OUT_OF_ME* | NODE_FAIL | BOOT_FAIL | PREEMPTED | REVOKED) ;;
    *) return 1 ;;
  esac
}

# settle_failed DIR: its batch script failed: with the command's exit code, which is its own; or it was
# killed, and then Slurm notes in its output where it had too much memory
settle_failed() {
  [ -n "$CODE" ] || ask_code
  if [ "$CODE" != 0 ]; then
    end_by_slurm "$1" "code=$CODE reason=exited"
  elif print_slurm_out "$1" | grep -q -e 'exceeded memory limit' -e 'oom_kill event' -e 'oom-kill event'; then
    end_by_slurm "$1" 'code=137 reason=exited oom=1'
  else
    end_by_slurm "$1" 'code=- reason=script-killed'
  fi
}

# end_by_slurm DIR WORDS: its end, by who looks
end_by_slurm() {
  # shellcheck disable=SC2086 # its words, without the padding
  set -- "$1" "$2" $LINE
  _dir_of_end=$1 _words=$2
  shift 3
  _kept=
  for _word; do case $_word in *=*) _kept="$_kept $_word" ;; esac done
  put_state "$_dir_of_end" "ended $_words sure=1 t1=$((NOW_S * 100)) survivors=0$_kept" || return 0
  set -- "$_dir_of_end"
  rm -f "$1/env" "$1/login" "$1/again" "$BASE/live/${1##*/}"
  release "${1##*/}"
  LIFE=gone
  get_state "$1"
}
