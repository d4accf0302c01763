# shellcheck shell=sh
# Looking at the machine and its jobs: fixed readers, nothing that a caller composes.
# (Over 250 lines: one answer about a job, whose parts are read in the order that they are sent.)

# emit_job REFERENCE MODE OFFSET MAX STDERR_OFFSET STDERR_MAX: bytes of its streams, then
# `job ID life=... <state line>`. MODE has j for its spec (k: as _spec has it), s for the streams' sizes, d for
# a digest of MAX bytes instead of a range of its log.
# The state is read before the bytes: where it has ended, the bytes are the last.
emit_job() {
  _asked=$1
  resolve "$1"
  shift
  set -- "$_id" "$@"
  _dir=$JOBS/$1
  if [ -e "$_dir/slurm" ] && ! has_plain_files "$_dir"; then
    now
    trailer "job $1 now=$UP life=gone unreadable"
    return
  fi
  if ! find_record "$_dir" || [ "$PHASE" = claiming ]; then
    trailer "missing $_asked"
    return
  fi
  now
  SLURM_SAYS='' _shift=0
  LIFE=gone # of an ended job it is not asked: reading /proc costs more than all the rest
  case $PHASE in ended) ;; queued) find_wait "$_dir" ;; *) find_life "$_dir" ;; esac
  case $PHASE.$LIFE in
    running.gone | *ing.restarted) [ ! -e "$_dir/again" ] || LIFE=again ;;
  esac
  if [ "$LIFE" = gone ] && [ "$PHASE" != ended ]; then
    get_state "$_dir" # it wrote its end between our two looks
  fi
  _said="life=$LIFE $LINE"
  _flags=
  [ ! -e "$_dir/incomplete" ] || lacks_output
  may_have_begun
  keep_lost
  last_sign_of_life
  case $LIFE in
    queued | again | unclear)
      say_wait "$1"
      [ "${KEPT-}" = "${_seq-}" ] || ensure_keeper # once a request
      KEPT=${_seq-}
      ;;
    *) [ ! -e "$_dir/gpus" ] || { { read -r _held <"$_dir/gpus"; } 2>/dev/null && _flags="$_flags gpus=$_held"; } ;;
  esac
  [ "$PHASE" != running ] || [ ! -e "$_dir/slurm" ] || _flags="$_flags node=$ON"
  [ "$PHASE" != running ] || [ ! -e "$_dir/node_attempt" ] ||
    { read_node_attempt "$_dir" && _flags="$_flags$NODE_ATTEMPT"; }
  [ "$PHASE" = ended ] || [ ! -e "$_dir/incomplete" ] || _flags=" incomplete=1$_flags"
  set_clock
  [ ! -e "$_dir/stopping" ] || { { read -r _why _when <"$_dir/stopping"; } 2>/dev/null && _flags="$_flags stopping=$((_when + _shift))"; }
  for _report in stopped swept; do
    [ -e "$_dir/$_report" ] || continue
    cat "$_dir/$_report"
    trailer "$_report $1"
  done
  if [ "$PHASE" = ended ] && [ "$SURVIVORS" -gt 0 ]; then
    count_survivors
    _flags="$_flags alive=$_alive"
  fi
  case $2 in *j*) IFS= read -r _spec <"$_dir/spec.json" || _spec= ;; esac
  case $2 in *[jk]*) hold_back "$_spec" "spec $1" ;; esac
  emit_streams "$@"
  [ "$PHASE" = ended ] || now # its bytes may have taken long
  UP=$((UP + _shift))
  case $LIFE in
    restarted) [ "${ON:-$NODE}" = "$NODE" ] || _flags="$_flags departed=1" ;;
  esac
  trailer "job $1 now=$UP$_flags $_said"
}

# find_wait DIR: LIFE of a job that waits: here, or in Slurm
find_wait() {
  LIFE=queued
  [ ! -e "$1/slurm" ] || find_slurm_life "$1"
}

# set_clock: _shift = how far ahead of ours the uptime of that machine is which runs the job, from
# when it began by the clocks of both
set_clock() {
  case $PHASE.$LIFE in *.elsewhere) ;; *ing.supervised | running.suspended | running.unclear) [ "$WHERE" != "$MACHINE" ] || return 0 ;; *) return 0 ;; esac
  now
  _shift=$((${UP0:-0} + EPOCH * 100 - EPOCH_UP - ${T0:-0}))
}

# lacks_output: said of a job that lives, or left processes that may write on. What is said
# of others stays as their end said it.
lacks_output() {
  case $PHASE.$LIFE.$SURVIVORS in
    ended.*.0) ;;
    ended.* | *.supervised.* | *.orphaned.* | *.elsewhere.*) _flags=' incomplete=1' ;;
  esac
}

# may_have_begun: its supervisor died before it noted a leader; the command may be on its way all
# the same, and nobody is to be told that it never was. `first` stands before its leader is there.
may_have_begun() {
  case $PHASE.$LIFE in
    starting.gone)
      if [ $((UP - ${UP0:-0})) -gt $START_WINDOW ] && [ ! -e "$_dir/over" ] && find_last_members "$_dir" && [ -n "$PIDS" ]; then
        printf '' >"$_dir/first"
        LIFE=orphaned _said="life=orphaned $LINE"
      fi
      ;;
    starting.restarted) ;;
    *) return 0 ;;
  esac
  [ ! -e "$_dir/first" ] || _flags="$_flags begun=1"
}

# keep_lost: who was once seen to be lost stays so for the same reason, also after a restart
keep_lost() {
  case $PHASE.$LIFE in
    running.gone) ;;
    starting.gone) [ $((UP - ${UP0:-0})) -gt $START_WINDOW ] || return 0 ;;
    ended.* | *.supervised | *.orphaned | *.elsewhere | *.queued | *.again) return 0 ;;
    *) [ ! -e "$_dir/over" ] || _flags="$_flags over=1"; return 0 ;;
  esac
  [ ! -e "$_dir/stopping" ] && [ ! -e "$_dir/over" ] || return 0
  printf '' >"$_dir/over"
  poke_keeper # what it claimed is free
}

# last_sign_of_life: of a job that nobody saw end: when it, or who watched it, wrote last
last_sign_of_life() {
  case $PHASE.$LIFE in running.gone | *ing.restarted) ;; *) return 0 ;; esac
  _sign=
  for _written in $(stat -c %Y "$_dir/state" "$_dir/log" "$_dir/probe" 2>/dev/null); do
    [ "$_written" -le "${_sign:-0}" ] || _sign=$_written
  done
  [ -z "$_sign" ] || _flags="$_flags seen=${_sign}00"
}

# count_survivors: _alive = how many of an ended job live; once none, `quiet` says so for good
count_survivors() {
  _alive=0
  [ ! -e "$_dir/quiet" ] && [ "$WHERE" = "$MACHINE" ] || return 0
  # just counted: who is becoming a program would hide from a second look
  if [ ! -e "$_dir/swept" ] && [ $((UP - ${UP1:-0})) -lt 100 ]; then
    _alive=$SURVIVORS
    return 0
  fi
  find_members "$_dir"
  for _p in $PIDS; do _alive=$((_alive + 1)); done
  [ $_alive -gt 0 ] || printf '' >"$_dir/quiet"
}

# emit_streams ID MODE OFFSET MAX STDERR_OFFSET STDERR_MAX: a range of its log, or its digest, and
# a range of the stderr of a command; _stats = size and inode of both, where they are asked for
emit_streams() {
  _stats= # of both by one process
  case $2 in *s*) [ ! -e "$_dir/stderr" ] || _stats=$(stat -c '%s %i' "$_dir/log" "$_dir/stderr") || _stats= ;; esac
  case $2 in
    *d*)
      send_held
      emit_digest "$1" "$4"
      ;;
    *)
      ! emit_both "$@" || return 0
      emit_range "$1" log "$3" "$4" "$2"
      ;;
  esac
  [ ! -e "$_dir/stderr" ] || emit_range "$1" stderr "$5" "$6" "$2"
}

# emit_range ID STREAM OFFSET MAX MODE: `range ID STREAM offset= size= inode=`; a
# negative offset counts from the end
emit_range() {
  _file=$_dir/$2 _from=$3 _size='' _inode=''
  case $5$3 in *s* | *-*)
    case $_stats in
      '') _stat=$(stat -c '%s %i' "$_file") || { hold_back '' "range $1 $2 gone=1"; return; } ;;
      *) case $2 in log) _stat=${_stats%"
"*} ;; *) _stat=${_stats#*"
"} ;; esac ;;
    esac
    _size=${_stat% *} _inode=${_stat#* }
    [ "$_from" -ge 0 ] || _from=$((_size + _from))
    [ "$_from" -ge 0 ] || _from=0
    ;;
  esac
  if [ "$4" != 0 ] && [ -s "$_file" ] && [ "$_from" -lt "${_size:-$((_from + 1))}" ]; then
    send_held
    send_range "$_from" "$4" <"$_file"
  fi
  hold_back '' "range $1 $2 offset=$_from size=$_size inode=$_inode"
}

# emit_both ID MODE OFFSET MAX STDERR_OFFSET STDERR_MAX: the same of log and stderr by one program, which
# sends what stands between them, too. Fails, and has said nothing, where not all of both was
# asked for; where one is empty; and where one may grow while it is read: `cat` knows no limit.
emit_both() {
  [ -n "$_stats" ] && [ "$PHASE.$SURVIVORS" = ended.0 ] && [ ! -e "$_dir/stopping" ] || return
  case $3 in 0 | "-$4") ;; *) return 1 ;; esac
  case $5 in 0 | "-$6") ;; *) return 1 ;; esac
  # shellcheck disable=SC2086 # four numbers
  set -- "$1" "$4" "$6" $_stats
  [ "$4" -gt 0 ] && [ "$4" -le "$2" ] && [ "$6" -gt 0 ] && [ "$6" -le "$3" ] || return
  send_held
  _between="
$NONCE range $1 log offset=0 size=$4 inode=$5"
  _sent= # stays so where the shell has no room for a document
  {
    _sent=1
    cat "$_dir/log" - "$_dir/stderr"
  } <<EOF
$_between
EOF
  [ -n "$_sent" ] || return
  hold_back '' "range $1 stderr offset=0 size=$6 inode=$7"
}

# do_look [KIND ARGUMENT]...
do_look() {
  while [ $# -ge 2 ]; do
    "look_$1" "$2"
    shift 2
  done
}

# look_jobs N: the newest N background jobs, newest first; then everything older, and
# every command, that lives or left processes which live
look_jobs() {
  emit_newest bg "$1"
  emit_unlisted j 0 0 left
  emit_queue
}

# look_all N: the newest N jobs, then as many commands; then every older one as above
look_all() {
  emit_newest bg "$1"
  _jobs=$_newest
  emit_newest fg "$1"
  _newest=$_jobs$_newest
  emit_unlisted j 0 0 left
  emit_queue
}

# emit_newest KIND N [MODE MAX]: says the newest N, newest first, their ids in _newest. Before
# jobs and commands were counted apart, commands had jobs' ids: they are no jobs.
emit_newest() {
  _count=0 _missed=0 _newest=' '
  select_series "$1"
  highest_number
  while [ "$_n" -gt 0 ] && [ $_count -lt "$2" ] && [ $_missed -lt 5000 ]; do
    _id=$SERIES-$_n _n=$((_n - 1))
    if [ -d "$JOBS/$_id" ] && { [ "$1" = fg ] || [ ! -e "$JOBS/$_id/stderr" ]; }; then
      emit_job "$_id" "${3-j}" 0 "${4-0}" 0 0
      _newest="$_newest$_id "
      _count=$((_count + 1))
    else
      _missed=$((_missed + 1))
    fi
  done
}

# emit_unlisted MODE OFFSET MAX [left]: says those beside _newest that live, with those bytes
# of their logs; with `left` also those that ended and left processes
emit_unlisted() {
  for _mark in "$BASE/live"/*-* "$QUEUE"/waiting/*-*; do
    [ -e "$_mark" ] || continue
    _id=remote-${_mark##*-}
    case $_mark in */cmd-*) _id=${_mark##*/} ;; esac
    case $_newest in
      *" $_id "*) ;;
      *) ! has_living "$_id" "${4-}" || emit_job "$_id" "$1" "$2" "$3" 0 0 ;;
    esac
  done
}

# has_living ID [left]: it has not ended, or processes that it left live; forgets the mark of
# one of which nothing lives
has_living() {
  _dir=$JOBS/$1
  get_state "$_dir" || return 1
  [ "$PHASE" != queued ] && [ ! -e "$_dir/again" ] || return 0
  if [ "$PHASE" = ended ]; then
    [ "$WHERE" = "$MACHINE" ] || return 1 # whether it left processes is for that one to say
    _alive=0
    [ "$SURVIVORS" = 0 ] || [ -e "$_dir/quiet" ] || { [ -n "$2" ] || return 1; now; count_survivors; }
    [ "$_alive" = 0 ] || return 0
    rm -f "$BASE/live/$1"
    return 1
  fi
  find_life "$_dir"
  case $LIFE in supervised | orphaned | elsewhere) ;; *) return 1 ;; esac
}

# look_digests BYTES: the newest jobs as look_jobs has them, each with its digest
look_digests() {
  emit_newest bg 50 jd "$1"
  emit_unlisted jd 0 "$1" left
  emit_queue
}
