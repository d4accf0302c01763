# shellcheck shell=sh
# Jobs that squeue knows no more: what accounting (sacct) says of their end, where there is any; and
# when a job is forgotten for good. Only an end counts: accounting may lag behind, and calls a job
# whose end it never heard of RUNNING for ever.

SACCT_AGE=500      # so old, in centiseconds, may be what accounting said
SLURM_FORGET=600   # seconds that a job may be unknown to Slurm, before it is lost

# find_account: STATE CODE SIGNAL of _number, as accounting has its end under its name. Fails where
# it has none.
find_account() {
  now
  case ,${ACCOUNT_OF-}, in
    *",$_number,"*) [ $((UP - ACCOUNT_AT)) -le $SACCT_AGE ] || ask_accounting ;;
    *) ask_accounting ;;
  esac
  case $ACCOUNT in *"
$_number|so-$_job_token|"*) ;; *) return 1 ;; esac
  _row=${ACCOUNT##*"
$_number|so-$_job_token|"} # the last: a requeued job has several
  _row=${_row%%"
"*}
  STATE=${_row%%|*} REASON=''
  case $STATE in PENDING | CONFIGURING | RUNNING | COMPLETING | SUSPENDED | REQUEUED | RESIZING) return 1 ;; esac
  read_code "${_row#*|}"
}

# ask_accounting: ACCOUNT = `\nID|NAME|STATE|CODE:SIGNAL\n` of ACCOUNT_OF: _number, and all others
# that squeue does not know
ask_accounting() {
  ACCOUNT_OF=$_number _oldest=${_since:-0}
  for _other in "$BASE/live"/remote-*; do
    [ -f "$JOBS/${_other##*/}/slurm.id" ] || continue
    { read -r _first _then <"$JOBS/${_other##*/}/slurm.id"; } 2>/dev/null || continue
    case $_first in '' | "$_number" | *[!0-9]*) continue ;; esac
    eval "_row=\${ROW_$_first-}"
    [ -z "$_row" ] || continue
    ACCOUNT_OF=$ACCOUNT_OF,$_first
    [ "$_oldest" -le "${_then:-0}" ] || _oldest=${_then:-0}
  done
  ACCOUNT="
$(SLURM_TIME_FORMAT='' LC_ALL=C timeout $SLURM_ANSWER sacct -nPXD -j "$ACCOUNT_OF" \
    -S "$(date -d "@$((_oldest - 60))" +%Y-%m-%dT%H:%M:%S)" -o JobIDRaw,JobName,State,ExitCode 2>/dev/null </dev/null)
"
  now
  ACCOUNT_AT=$UP
}

# read_code CODE:SIGNAL: CODE SIGNAL of its batch script; what is no number is 0
read_code() {
  CODE=${1%%:*} SIGNAL=${1#*:}
  case $CODE in '' | *[!0-9]*) CODE=0 ;; esac
  case $SIGNAL in '' | *[!0-9]*) SIGNAL=0 ;; esac
}

# ask_code: CODE SIGNAL of the batch script of _number, whose end squeue knows without them
ask_code() {
  read_code "$(timeout $SLURM_ANSWER scontrol -o show job "$_number" 2>/dev/null </dev/null |
    sed -n 's/.* ExitCode=\([0-9]*:[0-9]*\).*/\1/p')"
}

# is_forgotten DIR: Slurm has not known it for so long that it will not come back; and nobody
# writes its files
is_forgotten() {
  clock_s
  _then=
  { read -r _then <"$1/slurm.gone"; } 2>/dev/null
  [ -n "$_then" ] || { _then=$NOW_S && printf '%s\n' "$NOW_S" >"$1/slurm.gone"; }
  SLURM_SAYS='slurm GONE'
  [ $((NOW_S - _then)) -ge $SLURM_FORGET ] || return 1
  [ "$PHASE" = queued ] || ! has_heartbeat "$1"
}
