# shellcheck shell=sh
# The stopper: ends a job's whole tree, in a process of its own that needs nobody.

# stop DIR GRACE_S REASON: TERM to the leader's group, so that a launcher can end
# its workers in order; those that outlive it get TERM too; after the grace KILL, until
# nothing that can be read is left. Leaves `stopped`: a line `killed|left PID NAME`
# each. On a job that is over it sweeps what was left behind, and leaves `swept`.
stop() {
  dir=$1 grace=$2 reason=$3 seen='' told='' answer=swept
  BASE=${dir%/jobs/*} JOBS=${dir%/*}
  trap '' HUP PIPE TERM INT
  machine_id
  QUEUE=$BASE/queue/$NODE
  get_state "$dir" || exit 70
  if [ -e "$dir/slurm" ] && { [ "$WHERE" != "$MACHINE" ] || [ "$PHASE" = queued ]; }; then
    stop_slurm
    exit 0
  fi
  mark_stopping
  if stop_queued; then
    report
    exit 0
  fi
  [ "$WHERE" = "$MACHINE" ] || { report; exit 0; }
  now
  end=$((UP + grace * 100))
  if is_alive "$LEADER" "$LTICKS"; then
    find_members "$dir"
    remember_names
    kill -s TERM -- "-$LEADER" 2>/dev/null || kill -s TERM "$LEADER" 2>/dev/null
  fi
  while refresh_members && [ -n "$PIDS" ]; do
    remember_names
    now
    [ "$UP" -lt "$end" ] || break
    is_alive "$LEADER" "$LTICKS" || terminate_rest
    pause 5
  done
  _round=0
  while [ -n "$PIDS" ] && [ $_round -lt 40 ]; do
    # shellcheck disable=SC2086 # pids
    kill -s KILL $PIDS 2>/dev/null
    pause 5
    refresh_members
    remember_names
    _round=$((_round + 1))
  done
  write_stopped_end
  [ "$answer" = swept ] || [ -e "$dir/stderr" ] || await_gpus
  report
}

# mark_stopping: `stopping` stands before anything is killed. Not for a job that is over: lost
# stays lost.
mark_stopping() {
  [ "$PHASE" != ended ] && ! is_over || return 0
  set -C
  now
  { printf '%s\n' "$reason $UP" >"$dir/stopping"; } 2>/dev/null # the first reason stands
  set +C
  case $PHASE in starting) await_start ;; queued) answer=stopped && return 0 ;; esac
  get_state "$dir"
  if is_over; then
    rm -f "$dir/stopping"
    return 0
  fi
  answer=stopped
}

# stop_queued: it waits in the queue, or is to be tried again, and that ends; fails where it began
stop_queued() {
  _i=0
  while [ $_i -lt 500 ]; do
    case $PHASE in
      queued) ;;
      ended) return 1 ;;
      *)
        find_life "$dir"
        case $LIFE in gone | restarted) [ -e "$dir/again" ] || return 1 ;; *) return 1 ;; esac
        ;;
    esac
    if withdraw "${dir##*/}"; then
      answer=stopped _entry=none
      end_queued "$dir" reason=stopped
      ! find_keeper || kill -s USR1 "$_keeper"
      return 0
    fi
    pause 2 # somebody has it in hand, for a moment
    get_state "$dir"
    _i=$((_i + 1))
  done
  return 1
}

# is_over: nobody is left to write an end, or to begin
is_over() {
  find_life "$dir"
  case $PHASE.$LIFE in
    running.gone | running.restarted | starting.restarted) ;;
    starting.*) now && [ $((UP - ${UP0:-0})) -gt $START_WINDOW ] ;;
    *) false ;;
  esac
}

refresh_members() {
  get_state "$dir"
  find_last_members "$dir"
}

# await_start: its supervisor is on the way; give it a second
await_start() {
  _i=0
  while [ "$PHASE" = starting ] && [ $_i -lt 50 ]; do
    pause 2
    get_state "$dir"
    _i=$((_i + 1))
  done
}

# remember_names: remember the names of the members, before they are gone
remember_names() {
  _new=''
  for _p in $PIDS; do
    case "$seen" in *" $_p:"*) continue ;; esac
    read_name "$_p"
    _new="$_new $_p:$(printf %s "$NAME" | tr -c 'A-Za-z0-9._+-' _)"
  done
  seen="$seen$_new"
  [ -z "$_new" ] || { printf '%s\n' "$_new" >>"$dir/ending"; } 2>/dev/null
}

# terminate_rest: TERM, once each, to members that outlived their leader
terminate_rest() {
  for _p in $PIDS; do
    case "$told" in *" $_p "*) continue ;; esac
    told="$told $_p "
    kill -s TERM "$_p" 2>/dev/null
  done
}

# write_stopped_end: the supervisor writes the end; where it is gone itself, we do
write_stopped_end() {
  _i=0
  while get_state "$dir" && [ "$PHASE" != ended ] && is_alive "$PID" "$PTICKS" && [ $_i -lt 100 ]; do
    [ "$PHASE" != queued ] || break
    pause 2
    _i=$((_i + 1))
  done
  get_state "$dir"
  case $PHASE in queued | running) ! stop_queued || return 0 ;; esac # it was to be tried again
  [ "$answer" = stopped ] && is_over || return 0
  now
  # shellcheck disable=SC2086 # its words, without the padding
  set -- $LINE
  shift
  put_state "$dir" "ended code=137 reason=$reason sure=0 up1=$UP survivors=0 $*"
}

# await_gpus: the driver may take a while to free what the dead held; 3 s, then it is told
await_gpus() {
  HELD=''
  [ -n "$seen" ] && command -v nvidia-smi >/dev/null 2>&1 || return 0
  _i=0
  while [ $_i -lt 6 ]; do
    _i=$((_i + 1)) HELD=''
    _apps=$(timeout 5 nvidia-smi --format=csv,noheader,nounits \
      --query-compute-apps=pid,used_memory 2>/dev/null) || return 0
    while IFS=', ' read -r _p _mib; do
      case "$seen" in *" $_p:"*) HELD="$HELD $_p:${_mib:-?}" ;; esac
    done <<EOF
$_apps
EOF
    [ -n "$HELD" ] || return 0
    pause 50
  done
}

# add_seen PID:NAME: whom another stopper saw
add_seen() {
  case $seen in *" ${1%%:*}:"*) ;; *) seen="$seen $1" ;; esac
}

# report: what we ended and what is left, and what another stopper said of itself
report() {
  find_members "$dir"
  while read -r _verb _p _name _; do
    case $_p in '' | *:) ;; *) add_seen "$_p:${_name%,}" ;; esac
  done 2>/dev/null <"$dir/$answer"
  while read -r _names; do
    for _entry in $_names; do add_seen "$_entry"; done
  done 2>/dev/null <"$dir/ending"
  _told=$(
    for _entry in $seen; do
      _p=${_entry%%:*}
      case " $PIDS " in
        *" $_p "*)
          _why=
          is_our_process "$_p" || _why=', which is not ours to end'
          printf 'left %s %s%s\n' "$_p" "${_entry#*:}" "$_why"
          ;;
        *) printf 'killed %s %s\n' "$_p" "${_entry#*:}" ;;
      esac
    done
    for _entry in ${HELD-}; do
      printf 'left %s: it is dead, and the GPU still shows %s MiB as its own\n' \
        "${_entry%%:*}" "${_entry#*:}"
    done
  )
  # added, in one write: of two stoppers at once neither takes away what the other reports. What
  # is said last of a process counts.
  printf '%s\n' "$_told" >>"$dir/$answer"
  rm -f "$dir/ending"
}
