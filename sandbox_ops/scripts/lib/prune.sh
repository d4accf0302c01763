# shellcheck shell=sh
# Old records go, in a process of their own. Never one that lives or that is pinned,
# never one of the newest 200 (ids are given by counting up from there), never a
# background job younger than 30 days (90, where it failed).

prune() {
  BASE=$1 JOBS=$1/jobs
  trap '' HUP PIPE
  machine_id
  read -r _last <"$BASE/last" || exit 0
  _today=$(date +%s)
  for _d in "$JOBS"/remote-*; do
    [ $((_last - ${_d##*remote-})) -gt 200 ] || continue
    [ ! -e "$_d/pinned" ] || continue
    get_state "$_d" || continue
    [ "$PHASE" = ended ] || { live "$_d"; case $LIFE in gone | restarted) ;; *) continue ;; esac; }
    if [ "$SURVIVORS" -gt 0 ]; then
      members "$_d" "$LEADER"
      [ -z "$PIDS" ] || continue
    fi
    if [ ! -e "$_d/stderr" ]; then
      _age=$(((_today - ${T0:-0} / 100) / 86400))
      case $LINE in *' code=0 '*) [ $_age -gt 30 ] ;; *) [ $_age -gt 90 ] ;; esac || continue
    fi
    rm -rf "$_d"
  done
  find "$BASE/tokens" "$BASE/claims" -type f -mtime +7 -exec rm -f {} +
}
