# shellcheck shell=sh
# The limit of what a job's streams may hold: one process a machine, which looks ten times
# a second while there are jobs with a limit that last. A pipe through `head -c` would be
# exact, and cost each command two processes; to look needs one `sleep` for all jobs
# together, and one `stat` where something grew. See docs/decisions/0008.

# limit_logs: this job's streams are held to `cap` from now on, until it and what it left
# running are over
limit_logs() {
  _base=${dir%/jobs/*} _pid='' _born=''
  [ -e "$_base/limits/${dir##*/}" ] || printf '%s\n' "$cap" >"$_base/limits/${dir##*/}"
  read -r _pid _born <"$_base/limiting.$MACHINE"
  is_alive "$_pid" "$_born" || run_detached limiter "$_base"
}

# limiter BASE: files in BASE/limits are named after the jobs and hold their limits
limiter() {
  trap '' HUP PIPE
  BASE=$1 idle=0 round=0
  machine_id
  read_stat $$
  self="$$ $TICKS"
  printf '%s\n' "$self" >"$BASE/limiting.$MACHINE"
  touch -t 197001010000 "$BASE/limiting.$MACHINE" # whatever was written before is looked at, too
  while read -r _who <"$BASE/limiting.$MACHINE" && [ "$_who" = "$self" ]; do
    if ! list_limited; then
      idle=$((idle + 1))
      if [ $idle -gt 20 ]; then # two seconds: the next job may come at once
        rm -f "$BASE/limiting.$MACHINE"
        list_limited || return 0 # who comes after this starts another
        printf '%s\n' "$self" >"$BASE/limiting.$MACHINE"
      fi
      pause 10
      continue
    fi
    idle=0 round=$((round + 1))
    check_streams
    [ $((round % 50)) != 0 ] || forget_ended
    pause "$pace"
  done
}

# list_limited: JOBS_LIMITED = those jobs, if there are any
list_limited() {
  JOBS_LIMITED=
  for _mark in "$BASE/limits"/*; do
    [ ! -e "$_mark" ] || JOBS_LIMITED="$JOBS_LIMITED ${_mark##*/}"
  done
  [ -n "$JOBS_LIMITED" ]
}

# check_streams: at those that were written to since the last look, and those of new jobs, which may
# have written all before it; pace = when to look again, sooner where something is beyond its limit
# shellcheck disable=SC3013 # dash, bash and busybox all have -nt
check_streams() {
  _grown='' pace=10
  for _id in $JOBS_LIMITED; do
    for _file in "$BASE/limits/$_id" "$BASE/jobs/$_id/log" "$BASE/jobs/$_id/stderr"; do
      [ "$BASE/limiting.$MACHINE" -nt "$_file" ] || [ ! -e "$_file" ] || _grown="$_grown $_id"
    done
  done
  printf '%s\n' "$self" >"$BASE/limiting.$MACHINE" # its time is that of our look
  for _id in $_grown; do
    dir=$BASE/jobs/$_id cap=
    read -r cap <"$BASE/limits/$_id" && [ -n "$cap" ] || continue
    truncate_logs
    [ -z "$CUT" ] || pace=2
  done
}

# forget_ended: jobs that are over, with nothing left that could write
forget_ended() {
  for _id in $JOBS_LIMITED; do
    if get_state "$BASE/jobs/$_id"; then
      if [ "$PHASE" = ended ] && [ "$WHERE" = "$MACHINE" ]; then
        [ "$SURVIVORS" = 0 ] || find_members "$BASE/jobs/$_id"
        [ "$SURVIVORS" = 0 ] || [ -z "$PIDS" ] || continue
      else
        find_life "$BASE/jobs/$_id"
        case $LIFE in supervised | orphaned | elsewhere) continue ;; esac
      fi
    fi
    rm -f "$BASE/limits/$_id"
  done
}

# truncate_logs: cut each stream of `dir` that outgrew `cap` back to it, and say so: CUT.
truncate_logs() {
  CUT=
  for _stream in log stderr; do
    is_beyond_cap || continue
    CUT=1
    take_cut || continue
    ! is_beyond_cap || cut_stream
    rm -f "$dir/cutting"
  done
}

is_beyond_cap() {
  [ -e "$dir/$_stream" ] && _size=$(stat -c %s "$dir/$_stream") && [ "$_size" -gt "$cap" ]
}

# take_cut: `cutting` in the job's folder names us. The limiter and the supervisor at its end would
# write the end of a stream twice if both cut it at once. A link: it needs no room on a full disk.
take_cut() {
  read_stat self
  _me=$ITS:$TICKS _tries=0
  until ln -s "$_me" "$dir/cutting" 2>/dev/null; do
    _tries=$((_tries + 1))
    if _who=$(readlink "$dir/cutting"); then
      is_alive "${_who%:*}" "${_who#*:}" || rm -f "$dir/cutting"
      [ $_tries -lt 250 ] || return 1
    else # not even that can be written
      [ $_tries -lt 3 ] || return 0
    fi
    pause 2
  done
}

# cut_stream: what goes is what stands before its last 64 KiB (a quarter, of a small one): a reader
# wants the beginning and the end. Its writer appends, so it goes on from there.
cut_stream() {
  mark_incomplete
  _kept=$((cap / 4))
  [ $_kept -le 65536 ] || _kept=65536
  tail -c $_kept "$dir/$_stream" >"$dir/end.$$"
  _code=$?
  note_if_full "${dir%/jobs/*}"
  if [ $_code = 0 ]; then
    truncate -s $((cap - _kept)) "$dir/$_stream"
    cat "$dir/end.$$" >>"$dir/$_stream"
  else # no room even for that
    truncate -s "$cap" "$dir/$_stream"
  fi
  rm -f "$dir/end.$$"
}
