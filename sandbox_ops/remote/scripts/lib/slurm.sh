# shellcheck shell=sh
# Jobs that Slurm starts: submitting, looking and stopping on the login node. What is otherwise on
# a compute node is in slurm_node.sh. The job's folder, on a file system that both
# have, is all that they say to each other; see docs/decisions/0030.
#
# Its files there: `slurm` (options of sbatch, a line each), `slurm.id` (`ID EPOCH`: its number
# in Slurm, and when it was submitted), `slurm.tried` (when sbatch was last
# called), `slurm.run` (the Slurm job that runs it: of two that a lost
# answer may have made, one), `slurm.out` (what Slurm itself says of it), `slurm.over` and
# `slurm.gone` (since when Slurm says that it is over, or knows it no more), `slurm.again` (when its next
# attempt may begin), `grace`.
# (Over 250 lines: it is one conversation, from the submission to the end.)

SQUEUE_AGE=300     # so old, in centiseconds, may be what Slurm said of all jobs
SLURM_ANSWER=10    # seconds: squeue, sacct and scancel
SLURM_SUBMIT=25    # seconds: sbatch, less than we have for our answer
SLURM_RESEND=20    # seconds that a submission without an answer has to appear in Slurm
SLURM_FILES_LAG=10 # seconds after Slurm says that a job is over, its files may lag behind
SLURM_FORGET=600   # seconds that a job may be unknown to Slurm, before it is lost

# submit_new: the job _id of this start goes to Slurm, and that is answered; refused, with nothing
# left of it, where Slurm takes no such job
submit_new() {
  printf '' >"$BASE/live/$_id"
  if submit_slurm "$_d"; then
    emit_job "$_id" j 0 "$_max" 0 "$_max"
    return
  fi
  for _mine in $_claims; do rm -f "$BASE/claims/$_mine.$_id"; done
  [ -z "$_name" ] || rm -f "$BASE/names/$_name"
  rm -rf "$BASE/tokens/$_token" "$BASE/live/$_id" "$_d"
  answer_error 'refused slurm' "Slurm takes no such job: $SLURM_SAYS"
}

# write_slurm DIR: what sbatch is given about it
write_slurm() {
  printf '%s\n' "$_slurm" >"$1/slurm" && [ -s "$1/slurm" ] && printf '%s\n' "$_after" >"$1/after" || return 1
  printf '#!/bin/sh\nSANDBOX_OPS_SH=%s exec %s %s slurm_job %s\n' \
    "$(quoted "$SH")" "$SH" "$(quoted "$LIBRARY")" "$(quoted "$1")" >"$1/batch" && [ -s "$1/batch" ]
}

# quoted TEXT: prints it as one word of a shell
quoted() {
  printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"
}

# submit_slurm DIR: sbatch, and its answer is kept. Fails where Slurm refused: SLURM_SAYS. Where it
# is not known what became of it, that is no failure: who looks at the job finds out.
submit_slurm() {
  read_stat self
  clock_s
  printf '%s\n' "$NOW_S" >"$1/slurm.tried"
  printf '%s\n' "$ITS $TICKS $MACHINE" >"$1/slurm.submit"
  { read -r _job_token <"$1/token"; } 2>/dev/null
  set -- "$1" --parsable "--job-name=so-$_job_token" "--output=$1/slurm.out" --open-mode=append \
    "--chdir=$BASE" "--comment=sandbox-ops ${1##*/}"
  while IFS= read -r _line; do [ -z "$_line" ] || set -- "$@" "$_line"; done <"$1/slurm"
  { read -r _after <"$1/after"; } 2>/dev/null
  if ! find_dependency; then
    rm -f "$1/slurm.submit"
    return 1
  fi
  _dir_of_job=$1
  shift
  [ -z "$DEPENDENCY" ] || set -- "$@" "--dependency=$DEPENDENCY" --kill-on-invalid-dep=yes
  set -- "$@" "$_dir_of_job/batch"
  rm -f "$BASE/squeue"
  ROWS_AT=''
  _answer=$(
    set -- timeout "$SLURM_SUBMIT" sbatch "$@"
    eval "$LOGIN_ENV" # from here on any variable may be the user's
    unset SBATCH_ARRAY_INX SBATCH_WAIT
    exec "$@" 2>&1 </dev/null 6>&- 7>&- 9<&-
  )
  _code=$?
  set -- "$_dir_of_job"
  rm -f "$1/slurm.submit"
  _number=$(printf '%s\n' "$_answer" | sed -n 's/^\([0-9][0-9]*\)\(;.*\)\{0,1\}$/\1/p' | tail -n 1)
  if [ "$_code" = 0 ] && [ -n "$_number" ]; then
    clock_s
    printf '%s\n' "$_number $NOW_S" >"$1/slurm.id"
    return 0
  fi
  case $_code:$_answer in # it may have been heard
    124:* | *'imed out'* | *'Zero Bytes'* | *'nexpected message'* | *'error receiv'* | 0:*) return 0 ;;
  esac
  SLURM_SAYS=$(printf '%s' "$_answer" | sed 's/^sbatch: //; s/^error: //' | tail -n 3 | head -c 600)
  [ "$_code" != 127 ] || SLURM_SAYS='sbatch is not installed on the login node, or not in PATH'
  return 1
}

# find_dependency: DEPENDENCY = the jobs of _after as sbatch takes them; those that are over are none.
# Fails where one ended that should have succeeded: SLURM_SAYS
find_dependency() {
  DEPENDENCY='' _unread=${_after:+$_after,}
  while [ -n "$_unread" ]; do
    _first=${_unread%%,*} _unread=${_unread#*,}
    _other=${_first%:any} _kind=afterok _number=
    [ "$_other" = "$_first" ] || _kind=afterany
    if get_state "$JOBS/$_other" && [ "$PHASE" = ended ]; then
      case $_kind:$LINE in afterany:* | *" code=0 reason=exited "*) continue ;; esac
      SLURM_SAYS="$_other did not succeed"
      return 1
    fi
    { read -r _number _ <"$JOBS/$_other/slurm.id"; } 2>/dev/null
    if [ -z "$_number" ]; then
      SLURM_SAYS="$_other is not a job of Slurm"
      return 1
    fi
    DEPENDENCY=$DEPENDENCY${DEPENDENCY:+,}$_kind:$_number
  done
}

# clock_s: NOW_S = seconds since 1970
clock_s() {
  now
  [ -n "${EPOCH-}" ] || EPOCH=$(date +%s) EPOCH_UP=$UP
  NOW_S=$((EPOCH + (UP - EPOCH_UP) / 100))
}

# read_rows: ROWS = `\nID|STATE|NAME|NODES|START|REASON\n` of all our jobs, in Slurm's order, asked
# for once, however many want to know; ROWS_AT = when. Fails where Slurm does not answer: SLURM_SAYS
read_rows() {
  clock_s
  [ -z "${ROWS_AT-}" ] || [ $((UP - ROWS_AT)) -gt $SQUEUE_AGE ] || return 0
  ROWS_AT='' ROWS='' _when='' _where=''
  { read -r _when _where <"$BASE/squeue"; } 2>/dev/null
  if [ "$_where" = "$MACHINE" ] && [ $((UP - _when)) -le $SQUEUE_AGE ]; then
    ROWS="
$(sed 1d "$BASE/squeue")
"
  elif printf '' >"$BASE/asked.$MYSELF" && _answer=$(LC_ALL=C timeout $SLURM_ANSWER squeue -h -u "$(id -un)" -t all -o '%i|%T|%j|%N|%S|%r' 2>&1 </dev/null); then
    _when=$UP
    printf '%s\n' "$UP $MACHINE" "$_answer" >"$BASE/squeue.$MYSELF" &&
      touch -r "$BASE/asked.$MYSELF" "$BASE/squeue.$MYSELF" && mv -f "$BASE/squeue.$MYSELF" "$BASE/squeue"
    ROWS="
$_answer
"
  else
    SLURM_SAYS=$(printf '%s' "${_answer:-it did not answer within $SLURM_ANSWER s}" | tail -n 1 | head -c 300)
    return 1
  fi
  ROWS_AT=$_when
  rm -f "$BASE/asked.$MYSELF"
  index_rows
}

# index_rows: ROW_ID = each of the ROWS: to look for one in the text of all takes 9 ms where there are 50
index_rows() {
  for _row in ${ROW_IDS-}; do unset "ROW_$_row"; done
  ROW_IDS=
  while IFS='|' read -r _row _rest; do
    case $_row in '' | *[!0-9]*) continue ;; esac
    eval "ROW_$_row=\$_rest"
    ROW_IDS="$ROW_IDS $_row"
  done <<EOF
$ROWS
EOF
}

# list_slurm_queue: _ids = these, and our jobs that wait in Slurm, in its order
list_slurm_queue() {
  while IFS='|' read -r _ _state _name _; do
    case $_state:$_name in PENDING:so-*) ;; *) continue ;; esac
    { read -r _waiting <"$BASE/tokens/${_name#so-}"; } 2>/dev/null && _ids="$_ids $_waiting"
  done <<EOF
$ROWS
EOF
}

# find_row ID NAME: STATE NODES START REASON of that job in ROWS, if it has that name: Slurm gives
# its numbers again
find_row() {
  STATE='' NODES='' START='' REASON=''
  eval "_row=\${ROW_$1-}"
  [ -n "$_row" ] || return 1
  STATE=${_row%%|*} _row=${_row#*|}
  [ "${_row%%|*}" = "$2" ] || return 1
  _row=${_row#*|}
  NODES=${_row%%|*} _row=${_row#*|}
  START=${_row%%|*} REASON=${_row#*|}
}

# find_slurm_life DIR: LIFE of a job of Slurm that has not ended by its files, as find_life has it, or
# queued | again (Slurm starts it once more) | suspended | unclear (SLURM_SAYS why). Where Slurm says that it is over,
# and no other process can, its end is written, and PHASE is `ended`. Call it after get_state.
# shellcheck disable=SC3013 # dash, bash and busybox all have -nt
find_slurm_life() {
  LIFE=unclear SLURM_SAYS='' _number='' _since='' _job_token=''
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
  case $ROWS in
    *"|so-$_job_token|"*)
      _row=${ROWS%%"|so-$_job_token|"*}
      _row=${_row##*"
"}
      _number=${_row%%|*}
      printf '%s\n' "$_number $((NOW_S - (UP - ROWS_AT) / 100))" >"$1/slurm.id"
      return 0
      ;;
  esac
  LIFE=queued _then=0
  { read -r _then <"$1/slurm.tried"; } 2>/dev/null
  if [ "$PHASE" != queued ] || [ $((NOW_S - _then)) -lt $SLURM_RESEND ] || submit_slurm "$1"; then
    SLURM_SAYS='slurm SUBMITTED'
  else
    end_by_slurm "$1" "code=- reason=refused"
  fi
  return 1
}

# find_account: STATE CODE, as accounting has it, where there is any; asked once for all jobs that
# squeue does not know any more
find_account() {
  if [ "${ACCOUNT_AT-}" != "$ROWS_AT" ]; then
    ACCOUNT_AT=$ROWS_AT _numbers='' _oldest=''
    for _other in "$BASE/live"/remote-*; do
      { read -r _first _then <"$JOBS/${_other##*/}/slurm.id"; } 2>/dev/null || continue
      _numbers=$_numbers${_numbers:+,}$_first
      [ -n "$_oldest" ] && [ "$_oldest" -le "${_then:-0}" ] || _oldest=${_then:-0}
    done
    ACCOUNT="
$(LC_ALL=C timeout $SLURM_ANSWER sacct -nPXD -j "$_numbers" -S "$(date -d "@$((${_oldest:-0} - 60))" +%Y-%m-%dT%H:%M:%S)" \
      -o JobIDRaw,JobName,State,ExitCode 2>/dev/null </dev/null)
"
  fi
  case $ACCOUNT in *"
$_number|so-$_job_token|"*) ;; *) return 1 ;; esac
  _row=${ACCOUNT##*"
$_number|so-$_job_token|"} # the last: a requeued job has several
  _row=${_row%%"
"*}
  STATE=${_row%%|*} CODE=${_row#*|} REASON=''
  CODE=${CODE%%:*}
}

# is_forgotten DIR: Slurm has not known it for so long that it will not come back
is_forgotten() {
  clock_s
  _then=
  { read -r _then <"$1/slurm.gone"; } 2>/dev/null
  [ -n "$_then" ] || { _then=$NOW_S && printf '%s\n' "$NOW_S" >"$1/slurm.gone"; }
  SLURM_SAYS='slurm GONE'
  [ $((NOW_S - _then)) -ge $SLURM_FORGET ]
}

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
    FAILED.*) end_by_slurm "$1" "code=${CODE:-1} reason=exited" ;;
    OUT_OF_ME*) end_by_slurm "$1" 'code=137 reason=exited oom=1' ;;
    *[Dd]epend*) end_by_slurm "$1" "code=- reason=unmet after=$(sed 's/,.*//' "$1/after")" ;;
    CANCELLED*)
      _by=' by=slurm'
      [ ! -e "$1/stopping" ] || _by=
      end_by_slurm "$1" "code=- reason=stopped$_by"
      ;;
    TIMEOUT.* | DEADLINE.*) end_by_slurm "$1" 'code=- reason=timed-out' ;;
    NODE_FAIL.* | REVOKED.*) end_by_slurm "$1" 'code=- reason=node-failed' ;;
    BOOT_FAIL.*) end_by_slurm "$1" 'code=- reason=boot-failed' ;;
    PREEMPTED.*) end_by_slurm "$1" 'code=- reason=preempted' ;;
    VANISHED.*) end_by_slurm "$1" 'code=- reason=forgotten' ;;
    *) SLURM_SAYS="slurm STATE $STATE" LIFE=unclear ;;
  esac
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

# stop_slurm: as `stop`, of a job that is not on this machine. What is to be killed, its own supervisor
# kills; where that does not, Slurm does.
stop_slurm() {
  if [ "$PHASE" = ended ]; then
    report
    return 0
  fi
  now
  set -C
  { printf '%s\n' "$reason $UP" >"$dir/stopping"; } 2>/dev/null # the first reason stands
  set +C
  printf '%s\n' "$grace" >"$dir/grace"
  answer=stopped MYSELF=$$ _signalled=''
  end=$((UP + 200)) last=$((UP + (grace + 60) * 100))
  while get_state "$dir" && [ "$PHASE" != ended ] && now && [ "$UP" -lt "$last" ]; do
    _number=''
    rm -f "$BASE/squeue"
    ROWS_AT=''
    find_slurm_life "$dir"
    [ "$PHASE" != ended ] || break
    if [ -z "$_number" ]; then
      :
    elif [ "$PHASE" = queued ] || [ "$LIFE" = again ]; then
      timeout $SLURM_ANSWER scancel "$_number"
    elif [ -z "$_signalled" ]; then
      timeout $SLURM_ANSWER scancel --batch --signal=TERM "$_number" && _signalled=1 end=$((UP + (grace + 5) * 100))
    elif [ "$UP" -gt "$end" ]; then
      timeout $SLURM_ANSWER scancel "$_number"
    fi
    _i=0
    while [ $_i -lt 20 ] && get_state "$dir" && [ "$PHASE" != ended ]; do
      pause 10
      _i=$((_i + 1))
    done
  done
  _i=0
  while [ -n "$_signalled" ] && [ ! -e "$dir/stopped" ] && [ $_i -lt 50 ]; do # its supervisor's own
    pause 10
    _i=$((_i + 1))
  done
  [ -e "$dir/stopped" ] || { report_of_slurm >"$dir/stopped.$$" && mv -f "$dir/stopped.$$" "$dir/stopped"; }
}

# report_of_slurm: what is known of a stop that no supervisor reported on
report_of_slurm() {
  [ "$PHASE" = ended ] || printf 'left %s in Slurm: %s\n' "${_number:-job}" "${SLURM_SAYS:-it does not end}"
}

# hasten DIR: Slurm lets a requeued job wait for two minutes, whatever its pause: who looks at it
# tells Slurm when it may begin
hasten() {
  _not_before=
  { read -r _not_before <"$1/slurm.again"; } 2>/dev/null
  clock_s
  [ "${_not_before:-0}" -gt "$NOW_S" ] || _not_before=$NOW_S
  timeout $SLURM_ANSWER scontrol update "JobId=$_number" "StartTime=$(date -d "@$_not_before" +%Y-%m-%dT%H:%M:%S)" >/dev/null 2>&1 &&
    rm -f "$1/slurm.again"
}
