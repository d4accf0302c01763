# shellcheck shell=sh
# How busy the jobs that run keep the machine: what their processes used of the CPUs since the looks
# before, and their GPUs. A look keeps what the next compares with; without one a job is compared
# with its own beginning. One look at all processes for all jobs together.

USAGE_WINDOW=18000 # centiseconds: of so long a time at least, once there is so much
USAGE_PAUSE=60000  # after so long without a look it is not known whether a GPU was idle
IDLE_PERCENT=10

# look_usage SECONDS: `usage ID cpu= window= gpu= idle=` of each: percent of one core, over so many
# seconds; percent of the busiest of its GPUs, and for how many seconds all were below 10 %, where
# that is known. Nothing where a client looked less than SECONDS ago.
look_usage() {
  now
  if [ "$1" != 0 ]; then
    _last=0
    { read -r _last <"$BASE/usage_at"; } 2>/dev/null
    [ "${_last:-0}" -gt "$UP" ] || [ $((UP - ${_last:-0})) -ge $(($1 * 100)) ] || return 0
  fi
  printf '%s\n' "$UP" >"$BASE/usage_at"
  list_leaders
  [ -n "$_leaders" ] || return 0
  sum_ticks
  _gpus=
  [ -z "$_claims_gpu" ] || ! command -v nvidia-smi >/dev/null ||
    _gpus=$(timeout 5 nvidia-smi --format=csv,noheader,nounits \
      --query-gpu=index,utilization.gpu | tr -d ' ')
  for _pair in $_leaders; do
    _id=${_pair#*:} _l=${_pair%%:*}
    _ticks=0 _begun=0
    eval "_ticks=\${_ticks_$_l-} _begun=\${_begun_$_l-}"
    compare_ticks
    compare_gpus
    [ -z "$_usage" ] || trailer "usage $_id$_usage"
  done
}

# list_leaders: _leaders = LEADER:ID of each background job that runs here, a word each; _claims_gpu
# = whether one has a GPU
list_leaders() {
  _leaders='' _claims_gpu=
  for _mark in "$BASE/live"/remote-*; do
    _id=${_mark##*/}
    get_state "$JOBS/$_id" || continue
    [ "$PHASE" = running ] && [ "$WHERE" = "$MACHINE" ] && [ -n "$LEADER" ] || continue
    eval "_ticks_$LEADER=0 _begun_$LEADER=${UP0:-0} _of_$LEADER=$LEADER"
    _leaders="$_leaders $LEADER:$_id"
    for _claim in "$BASE/claims"/gpu-*."$_id"; do [ ! -e "$_claim" ] || _claims_gpu=1; done
  done
}

# sum_ticks: _ticks_LEADER = what the processes of its session, and their children, used, and those
# of theirs that are over.
sum_ticks() {
  _wanted=" $(printf '%s' "$_leaders" | sed 's/:[^ ]*//g') " _seen=
  while read -r _p _ _parent _ _s _ _ _ _ _ _ _ _u _k _cu _ck _; do
    case $_wanted in
      *" $_s "*) _l=$_s ;;
      *)
        eval "_l=\${_of_$_parent-}"
        [ -n "$_l" ] || continue
        ;;
    esac
    eval "_of_$_p=$_l _ticks_$_l=\$((_ticks_$_l + _u + _k + _cu + _ck))"
    _seen="$_seen $_p"
  done <<END
$(print_cpu)
END
  for _p in $_seen; do unset "_of_$_p"; done
}

# compare_ticks: _usage = cpu= window=, if there is something to compare with
compare_ticks() {
  _usage='' _u1='' _t1='' _u2='' _t2='' _file=$JOBS/$_id/usage
  { read -r _u1 _t1 _u2 _t2 <"$_file"; } 2>/dev/null
  [ -n "$_t2" ] || { _u1=$_begun _t1=0 _u2=$_begun _t2=0; }
  if [ $((UP - _u2)) -ge $USAGE_WINDOW ]; then
    _u1=$_u2 _t1=$_t2 _u2=$UP _t2=$_ticks
    { printf '%s\n' "$_u1 $_t1 $_u2 $_t2" >"$_file"; } 2>/dev/null
  fi
  [ $((UP - _u1)) -gt 0 ] && [ "$_ticks" -ge "$_t1" ] || return 0
  _usage=" cpu=$(((_ticks - _t1) * 100 / (UP - _u1))) window=$(((UP - _u1) / 100))"
}

# compare_gpus: adds gpu= idle= to _usage; `gpu_idle` in the job's folder: since when, and when seen last
compare_gpus() {
  _most=
  for _claim in "$BASE/claims"/gpu-*."$_id"; do
    _n=${_claim##*/gpu-}
    for _row in $_gpus; do
      case $_row in
        "${_n%%.*}",*[!0-9]) ;;
        "${_n%%.*}",*) [ "${_most:--1}" -ge "${_row#*,}" ] || _most=${_row#*,} ;;
      esac
    done
  done
  [ -n "$_most" ] || return 0
  _file=$JOBS/$_id/gpu_idle _since='' _last=
  { read -r _since _last <"$_file"; } 2>/dev/null
  if [ "$_most" -ge $IDLE_PERCENT ]; then
    [ -z "$_since" ] || rm -f "$_file"
    _since=$UP
  else
    [ -n "$_last" ] && [ $((UP - _last)) -le $USAGE_PAUSE ] || _since=$UP
    { printf '%s\n' "$_since $UP" >"$_file"; } 2>/dev/null
  fi
  _usage="$_usage gpu=$_most idle=$(((UP - _since) / 100))"
}
