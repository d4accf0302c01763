# shellcheck shell=sh
# The stopper: ends a job's whole tree, in a process of its own that needs nobody.

# stop DIR GRACE_S REASON: TERM to the leader's group, so that a launcher can end
# its workers in order; those that outlive it get TERM too; after the grace KILL, until
# nothing that can be read is left. Leaves `stopped`: a line `killed|left PID NAME`
# each. On an ended job it sweeps what was left behind, and leaves `swept`.
stop() {
  dir=$1 grace=$2 reason=$3 seen='' told='' answer=swept
  trap '' HUP PIPE TERM INT
  machine_id
  get_state "$dir" || exit 70
  if [ "$PHASE" != ended ]; then
    answer=stopped
    set -C
    now
    { printf '%s\n' "$reason $UP" >"$dir/stopping"; } 2>/dev/null # the first reason stands
    set +C
    [ "$PHASE" != starting ] || await_start
  fi
  [ "$WHERE" = "$MACHINE" ] || { report; exit 0; }
  leader=$LEADER lticks=$LTICKS
  now
  end=$((UP + grace * 100))
  if alive "$leader" "$lticks"; then
    members "$dir" "$leader"
    note
    kill -s TERM -- "-$leader" 2>/dev/null || kill -s TERM "$leader" 2>/dev/null
  fi
  while members "$dir" "$leader" && [ -n "$PIDS" ]; do
    note
    now
    [ "$UP" -lt "$end" ] || break
    alive "$leader" "$lticks" || tell_rest
    nap 5
  done
  _round=0
  while [ -n "$PIDS" ] && [ $_round -lt 40 ]; do
    # shellcheck disable=SC2086 # pids
    kill -s KILL $PIDS 2>/dev/null
    nap 5
    members "$dir" "$leader"
    note
    _round=$((_round + 1))
  done
  settle
  report
}

# await_start: its supervisor is on the way; give it a second
await_start() {
  _i=0
  while [ "$PHASE" = starting ] && [ $_i -lt 50 ]; do
    nap 2
    get_state "$dir"
    _i=$((_i + 1))
  done
}

# note: remember the names of the members, before they are gone
note() {
  for _p in $PIDS; do
    case "$seen" in *" $_p:"*) continue ;; esac
    _name='?'
    { read -r _name <"/proc/$_p/comm"; } 2>/dev/null
    seen="$seen $_p:$(printf %s "$_name" | tr -c 'A-Za-z0-9._+-' _)"
  done
}

# tell_rest: TERM, once each, to members that outlived their leader
tell_rest() {
  for _p in $PIDS; do
    case "$told" in *" $_p "*) continue ;; esac
    told="$told $_p "
    kill -s TERM "$_p" 2>/dev/null
  done
}

# settle: the supervisor writes the end; where it is gone itself, we do
settle() {
  _i=0
  while get_state "$dir" && [ "$PHASE" != ended ] && alive "$PID" "$PTICKS" && [ $_i -lt 100 ]; do
    nap 2
    _i=$((_i + 1))
  done
  get_state "$dir"
  [ "$PHASE" = running ] && ! alive "$PID" "$PTICKS" && ! alive "$LEADER" "$LTICKS" || return 0
  now
  # shellcheck disable=SC2086 # its words, without the padding
  set -- $LINE
  shift
  put_state "$dir" "ended code=137 reason=$reason sure=0 up1=$UP survivors=0 $*"
}

report() {
  members "$dir" "${leader-}"
  {
    for _entry in $seen; do
      case " $PIDS " in
        *" ${_entry%%:*} "*) printf 'left %s %s\n' "${_entry%%:*}" "${_entry#*:}" ;;
        *) printf 'killed %s %s\n' "${_entry%%:*}" "${_entry#*:}" ;;
      esac
    done
  } >"$dir/$answer.tmp" 2>/dev/null && mv -f "$dir/$answer.tmp" "$dir/$answer"
}
