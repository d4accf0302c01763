# shellcheck shell=sh
# Old records go, in a process of their own. Never one that lives, that has living
# processes or a file `pinned`, and never one of the newest 20.

# prune BASE: the limits may be set otherwise in BASE/keep, lines of NAME=NUMBER.
# Foreground: the newest `newest`; those with much output `fg_days`; `fg_mib` together.
# Background: `days`, `count` of them, `mib` together; thrice that for the failed.
prune() {
  BASE=$1 JOBS=$1/jobs
  trap '' HUP PIPE
  machine_id
  only_pruner || exit 0
  newest=200 fg_days=7 fg_mib=2048 days=30 count=5000 mib=20480
  while IFS='= ' read -r _name _value; do
    case $_value in '' | *[!0-9]*) continue ;; esac
    case $_name in
      newest | fg_days | fg_mib | days | count | mib)
        decimal "$_value"
        eval "$_name=$NUMBER"
        ;;
    esac
  done 2>/dev/null <"$BASE/keep"
  today=$(($(date +%s) / 86400))
  note_if_full "$BASE"
  raise_floor bg && last_job=$_n && raise_floor fg && last_command=$_n || exit 0
  du -kd1 "$JOBS" 2>/dev/null |
    sed -En 's#^([0-9]*)[^0-9].*/(remote|cmd)-([0-9]*)$#\3 \1 \2#p' | sort -rn | select_records |
    remove_own_trees | keep_records | release_tokens |
    (cd "$JOBS" && xargs rm -rf)
  find "$JOBS" -maxdepth 1 -mtime +1 -name '.*-*' -exec rm -rf {} + # of restore_record, cut off
  release_claims
  find "$BASE/tokens" -type f -mtime +7 -exec rm -f {} +
  find "$BASE" -maxdepth 1 -mtime +1 -type f \
    \( -name 'alarm.*' -o -name 'limiting.*' -o -name 'errors.*' \) -exec rm -f {} +
  find "$BASE" -maxdepth 1 -mtime +1 -type p -exec rm -f {} +
  rm -f "$BASE/pruning"
}

# only_pruner: no other pruner is at work
only_pruner() {
  { read -r _pid _ticks <"$BASE/pruning"; } 2>/dev/null && is_alive "$_pid" "$_ticks" && return 1
  read_stat $$
  { printf '%s\n' "$$ $TICKS" >"$BASE/pruning"; } 2>/dev/null || rm -f "$BASE/pruning"
}

# raise_floor KIND: before a folder goes, its number is out of use for good; _n = the last
# number of that series
raise_floor() {
  _n=0
  select_series "$1"
  { read -r _n <"$LAST"; } 2>/dev/null
  [ "${_n:-0}" -gt 20 ] || { _n=0; return 0; } # none of them is to go
  for _try in 1 2; do
    { printf '%s\n' "$_n" >"$FLOOR.new" && [ -s "$FLOOR.new" ] &&
      mv -f "$FLOOR.new" "$FLOOR"; } 2>/dev/null && return 0
    rm -f "$BASE/ballast" # the disk is full: the more reason to make room
  done
  return 1
}

# select_records: reads `NUMBER KIB SERIES` lines, newest first; says the names of those that go
select_records() {
  _fg_kib=0 _kib_all=0 _n_all=0
  while read -r _n _kib _series; do
    _d=$JOBS/$_series-$_n last=$last_job
    [ "$_series" = remote ] || last=$last_command
    [ ! -e "$_d/pinned" ] || continue
    if ! get_state "$_d"; then
      find "$_d" -maxdepth 0 -mtime +1 -exec rm -rf {} + # its start was cut off
      continue
    fi
    if [ "$PHASE" != ended ]; then
      [ "$PHASE" != queued ] && [ ! -e "$_d/again" ] || continue
      find_life "$_d"
      case $LIFE in gone | restarted) ;; *) continue ;; esac
    elif [ "$SURVIVORS" -gt 0 ] && [ ! -e "$_d/quiet" ] && [ "$WHERE" = "$MACHINE" ]; then
      find_members "$_d"
      [ -z "$PIDS" ] || continue
    fi
    _age=$((today - ${T0:-0} / 8640000))
    if [ -e "$_d/stderr" ]; then fg_stays; else bg_stays; fi ||
      [ $((last - _n)) -lt 20 ] || printf '%s-%s\n' "$_series" "$_n"
  done
}

# release_tokens: reads names of records that go, and passes them on: a token whose job is gone
# would refuse the same start of that cell
release_tokens() {
  while read -r _record; do
    ! has_grant "$JOBS/$_record" || rm -f "$BASE/tokens/$_job_token"
    printf '%s\n' "$_record"
  done
}

fg_stays() {
  _fg_kib=$((_fg_kib + _kib))
  [ $_fg_kib -le $((fg_mib * 1024)) ] || return 1
  [ $((last - _n)) -lt "$newest" ] && return 0
  [ "$_kib" -gt 128 ] && [ "$_age" -le "$fg_days" ] # answered in part: to be read there
}

bg_stays() {
  _kib_all=$((_kib_all + _kib)) _n_all=$((_n_all + 1)) _times=3
  case $LINE in *' code=0 '*) _times=1 ;; esac
  [ $_kib_all -le $((mib * 1024 * _times)) ] &&
    [ $_n_all -le $((count * _times)) ] && [ "$_age" -le $((days * _times)) ]
}

# release_claims: claims of jobs that are over, names of jobs whose records are gone
release_claims() {
  prune_groups
  for _file in "$BASE/names"/*; do
    { read -r _id <"$_file"; } 2>/dev/null || continue
    [ -d "$JOBS/$_id" ] || { [ "$_id" = group ] && [ -e "$BASE/groups/${_file##*/}" ]; } || rm -f "$_file"
  done
  for _mark in "$BASE/live"/*-* "$BASE/limits"/*-*; do
    [ -d "$JOBS/${_mark##*/}" ] || rm -f "$_mark"
  done
  for _mark in "$BASE/claims"/*.remote-*; do
    is_active "$JOBS/${_mark##*.}" || [ "$LIFE" = elsewhere ] || rm -f "$_mark"
  done
}
