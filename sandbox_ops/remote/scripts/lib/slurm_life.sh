# shellcheck shell=sh
# Whether a job of Slurm waits, runs, starts again or is over: its files first, then what squeue says, then
# accounting; a submission whose answer was lost is found by its name, or sent again.

SLURM_RESEND=20    # seconds that a submission without an answer has to appear in Slurm

# find_slurm_life DIR: LIFE of a job of Slurm that has not ended by its files, as find_life has it, or
# queued | again (Slurm starts it once more) | suspended | unclear (SLURM_SAYS why). Where Slurm says that it is over,
# and no other process can, its end is written, and PHASE is `ended`. Call it after get_state.
# shellcheck disable=SC3013 # dash, bash and busybox all have -nt
find_slurm_life() {
  LIFE=unclear SLURM_SAYS='' _number='' _since='' _job_token=''
  has_plain_files "$1" || return 0
  { read -r _job_token <"$1/token"; } 2>/dev/null
  { read -r _number _since <"$1/slurm.id"; } 2>/dev/null
  if [ -z "$_number" ] && is_submitting "$1"; then
    LIFE=queued SLURM_SAYS='slurm SUBMITTED'
    return 0
  fi
  if ! read_rows; then
    SLURM_SAYS="slurm SILENT $SLURM_SAYS"
    return 0
  fi
  [ -n "$_number" ] || find_submission "$1" || return 0
  if find_row "$_number" "so-$_job_token"; then
    rm -f "$1/slurm.gone"
  elif [ "$((NOW_S - (UP - ROWS_AT) / 100))" -le "$((_since + 2))" ]; then
    LIFE=queued SLURM_SAYS='slurm SUBMITTED' # after Slurm was asked
    return 0
  elif ! find_account; then
    is_forgotten "$1" || return 0
    STATE=VANISHED
  fi
  case $STATE in
    PENDING | CONFIGURING | REQUEUED | REQUEUE_HOLD | REQUEUE_FED | RESV_DEL_HOLD | SPECIAL_EXIT)
      if [ "$PHASE" = queued ]; then
        LIFE=queued
      elif [ "$BASE/squeue" -nt "$1/state" ]; then
        LIFE=again
      else
        LIFE=supervised # it began after Slurm was asked
        return 0
      fi
      SLURM_SAYS="slurm $STATE $START $REASON"
      if [ "$STATE" = PENDING ]; then
        find_place
        SLURM_SAYS="$SLURM_SAYS${PLACE:+
$PLACE}"
      fi
      [ ! -e "$1/slurm.again" ] || [ ! "$BASE/squeue" -nt "$1/state" ] || hasten "$1"
      ;;
    RUNNING | COMPLETING | SIGNALING | STAGE_OUT | RESIZING)
      LIFE=supervised
      [ "$PHASE" != queued ] || LIFE=queued SLURM_SAYS="slurm $STATE $START $NODES"
      ;;
    SUSPENDED | STOPPED) LIFE=suspended ;;
    *) settle_slurm "$1" ;;
  esac
}

# is_submitting DIR: a client is about to, so far as is known
is_submitting() {
  _pid='' _born='' _where=''
  { read -r _pid _born _where <"$1/slurm.submit"; } 2>/dev/null || return 1
  if [ "$_where" = "$MACHINE" ]; then
    is_alive "$_pid" "$_born"
  else
    printf '%s\n' "$NODE" >"$BASE/beat"
    # shellcheck disable=SC2046 # two numbers
    set -- $(stat -c %Y "$BASE/beat" "$1/slurm.submit" 2>/dev/null)
    [ $# = 2 ] && [ $(($1 - $2)) -le 60 ]
  fi
}

# find_submission DIR: _number, of a job whose answer was lost: by its name, which is its token. Slurm
# has no such job: it is sent again. Should the first still come, one of them runs (claim_run).
find_submission() {
  if find_number "so-$_job_token"; then
    printf '%s\n' "$_number $((NOW_S - (UP - ROWS_AT) / 100))" >"$1/slurm.id"
    return 0
  fi
  LIFE=queued _then=0
  { read -r _then <"$1/slurm.tried"; } 2>/dev/null
  if [ "$PHASE" != queued ] || [ $((NOW_S - _then)) -lt $SLURM_RESEND ] || submit_slurm "$1" || [ -n "$SLURM_FULL" ]; then
    SLURM_SAYS='slurm SUBMITTED'
    get_state "$1" # to submit is to look at others
  else
    get_state "$1"
    end_by_slurm "$1" "code=- reason=refused"
  fi
  return 1
}

# hasten DIR: Slurm lets a requeued job wait for two minutes, whatever its pause: who looks at it
# tells Slurm when it may begin, and again where Slurm sets its own time after that
hasten() {
  _not_before=
  { read -r _not_before <"$1/slurm.again"; } 2>/dev/null
  case $_not_before in '' | *[!0-9]*) _not_before=0 ;; esac
  clock_s
  if [ "$_not_before" -le "$NOW_S" ]; then
    case $REASON in BeginTime | None | '') _not_before=$NOW_S ;; *) return 0 ;; esac
  fi
  _begin=$(date -d "@$_not_before" +%Y-%m-%dT%H:%M:%S)
  [ "$_begin" = "$START" ] ||
    timeout $SLURM_ANSWER scontrol update "JobId=$_number" "StartTime=$_begin" >/dev/null 2>&1
}
