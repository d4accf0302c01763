# shellcheck shell=sh
# Jobs that squeue knows no more: what accounting (sacct) says of them, where there is any; and when
# a job is forgotten for good.

SLURM_FORGET=600   # seconds that a job may be unknown to Slurm, before it is lost

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
