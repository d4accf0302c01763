# shellcheck shell=sh
# Stops a job of Slurm: its own supervisor, on the node, is told to; where that does not, Slurm ends it.

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
