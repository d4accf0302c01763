# shellcheck shell=sh
# The keeper of the queue: one process a machine, there while anything waits. A fork of
# the worker that needs it (or of a supervisor that ends and finds none), so it has what a
# start needs. A look at a job that waits starts the keeper if it is gone.
#
# Its right to start jobs is a file `keeper.N` with its identity; the highest N counts, and
# N+1 is only made where the keeper of N is dead or of an older version. Two for a moment
# do no harm: what decides over a start is the rename in start_queued.
# (Over 250 lines: one process, whose steps are read in their order.)

KEEPER_VERSION=1
KEEPER_TICK=200   # so long a signal that came at the wrong moment may go unnoticed
KEEPER_ROUND=1000 # so often it looks without a signal: for processes that were killed

# ensure_keeper [poke]: a keeper runs if there is anything in it; with `poke`
# it looks at once
ensure_keeper() {
  QUEUE=$BASE/queue/$NODE
  has_entries || return 0
  if find_keeper; then
    [ -z "${1-}" ] || kill -s USR1 "$_keeper" 2>/dev/null
    return 0
  fi
  (
    exec </dev/null >/dev/null 2>&1 6>&- 7>/dev/null 8<&- 9<&-
    keeper
  ) &
}

# poke_keeper: something changed that may let a job begin
poke_keeper() {
  ensure_keeper poke
}

# find_keeper: _keeper, if it lives and is not older than we are
find_keeper() {
  _keeper='' _born='' _version=''
  { read -r _keeper _born _version <"$QUEUE/keeper"; } 2>/dev/null
  [ "${_version:-0}" -ge $KEEPER_VERSION ] && is_alive "$_keeper" "$_born"
}

# newest_keeper: _generation, the highest N there is, and its _keeper _born _version
newest_keeper() {
  _generation=0 _keeper='' _born='' _version=''
  for _file in "$QUEUE"/keeper.*; do
    [ -e "$_file" ] || continue
    [ "${_file##*.}" -le "$_generation" ] || _generation=${_file##*.}
  done
  { read -r _keeper _born _version <"$QUEUE/keeper.$_generation"; } 2>/dev/null
}

# become_keeper: fails where another is
become_keeper() {
  for _try in 1 2 3; do
    newest_keeper
    [ "${_version:-0}" -lt $KEEPER_VERSION ] || ! is_alive "$_keeper" "$_born" || return 1
    generation=$((_generation + 1))
    if create_exclusive "$QUEUE/keeper.$generation" "$self $KEEPER_VERSION"; then
      newest_keeper
      [ "$_generation" = "$generation" ] || return 1
      for _file in "$QUEUE"/keeper.*; do
        [ "${_file##*.}" -ge $((generation - 1)) ] || rm -f "$_file"
      done
      overwrite "$QUEUE/keeper" "$self $KEEPER_VERSION"
      return 0
    fi
  done
  return 1
}

is_keeper() {
  [ -e "$QUEUE/keeper.$generation" ] && [ ! -e "$QUEUE/keeper.$((generation + 1))" ]
}

keeper() {
  SLEEP='' poked='' idle=0 next_look=0
  trap '' HUP PIPE
  trap - EXIT TERM INT
  trap 'poked=1; [ -z "$SLEEP" ] || kill "$SLEEP"' USR1
  read_stat self # $$ is the worker
  self="$ITS $TICKS" keeper_words="pid=$ITS ticks=$TICKS machine=$MACHINE host=$NODE"
  forget_gpus
  become_keeper || return 0
  while is_keeper; do
    now
    if [ -n "$poked" ] || [ "$UP" -ge "$next_look" ]; then
      poked='' next_look=$((UP + KEEPER_ROUND))
      recover_held
      start_fitting
      overwrite "$QUEUE/keeper" "$self $KEEPER_VERSION" # its time tells that we live
    fi
    if has_entries; then
      idle=0
    else
      idle=$((idle + 1))
      [ $idle -le 2 ] || ! retire || return 0
    fi
    _nap=$((next_look - UP))
    [ $_nap -le $KEEPER_TICK ] || _nap=$KEEPER_TICK
    [ $_nap -ge 10 ] || _nap=10
    [ -n "$poked" ] || pause "$_nap"
    SLEEP=
  done
}

# retire: there is nothing to keep; who comes after this starts another. Fails where one
# came meanwhile.
retire() {
  overwrite "$QUEUE/keeper" "0 0 $KEEPER_VERSION"
  printf '%s\n' "0 0 $KEEPER_VERSION" >"$QUEUE/keeper.$generation"
  has_entries || return 0
  become_keeper || return 0
  return 1
}

# adopt_queues: of a machine with this home that has not been heard of for ten minutes: it
# was created again under another name
adopt_queues() {
  for _folder in "$BASE/queue"/*; do
    QUEUE=$_folder
    if [ "$_folder" = "$BASE/queue/$NODE" ] || ! has_entries; then continue; fi
    printf '%s\n' "$NODE" >"$BASE/beat"
    # shellcheck disable=SC2046 # two numbers
    set -- $(stat -c %Y "$BASE/beat" "$_folder/keeper" 2>/dev/null)
    [ $# = 2 ] && [ $(($1 - $2)) -gt 600 ] || continue
    QUEUE=$BASE/queue/$NODE
    mkdir -p "$QUEUE/waiting" "$QUEUE/held" "$QUEUE/new"
    for _entry in "$_folder"/waiting/* "$_folder"/held/* "$_folder"/new/*; do
      [ -e "$_entry" ] || continue
      _kind=${_entry%/*}
      id_of "$_entry"
      get_state "$JOBS/$_id" && [ "$PHASE" = queued ] &&
        put_state "$JOBS/$_id" "queued $SELF t0=${T0:-0} up0=$UP q0=${Q0:-${T0:-0}} attempt=${ATTEMPT:-1}"
      mv "$_entry" "$QUEUE/${_kind##*/}/"
    done
  done
  QUEUE=$BASE/queue/$NODE
}

# recover_held: jobs whose holder died between two steps wait again, or are forgotten where
# no client has heard of them
recover_held() {
  for _entry in "$QUEUE"/held/* "$QUEUE"/new/*; do
    if [ ! -e "$_entry" ] || holder_lives "$_entry"; then continue; fi
    id_of "$_entry"
    _d=$JOBS/$_id
    if ! get_state "$_d"; then
      rm -f "$_entry"
      [ ! -d "$_d" ] || [ -e "$_d/state" ] || rm -rf "$_d"
      continue
    fi
    case $PHASE in
      claiming) drop_unpromised ;;
      queued)
        if [ -e "$_d/stopping" ]; then
          end_queued "$_d" reason=stopped
        elif is_promised; then
          join_late
          wait_again
        else
          drop_unpromised
        fi
        ;;
      starting | running) recover_lost ;;
      *) rm -f "$_entry" ;;
    esac
  done
}

# is_promised: its token was granted, so a client may know of it
is_promised() {
  case $_entry in "$QUEUE"/held/*) return 0 ;; esac
  has_grant "$_d"
}

# has_grant DIR: that job of the queue has its token
has_grant() {
  _job_token='' _granted=''
  { read -r _job_token <"$1/token" && read -r _granted <"$BASE/tokens/$_job_token"; } 2>/dev/null
  [ "$_granted" = "${1##*/}" ]
}

drop_unpromised() {
  release "$_id"
  rm -f "$_entry" "$BASE/claims"/name-*".$_id"
  rm -rf "$_d"
}

# wait_again: back to its place, with nothing claimed but its name
wait_again() {
  release "$_id"
  _name=${_entry##*/}
  mv "$_entry" "$QUEUE/waiting/${_name%%".$_id."*}.$_id"
}

# recover_lost: an attempt that its supervisor did not survive
recover_lost() {
  find_life "$_d"
  case $LIFE in supervised | orphaned | elsewhere) return 0 ;; esac
  if [ "$PHASE.$LIFE" = starting.gone ]; then
    now
    [ $((UP - ${UP0:-0})) -gt $((START_WINDOW / 2)) ] || return 0
  fi
  if [ -e "$_d/again" ] && [ ! -e "$_d/stopping" ]; then
    end_members "$_d"
    now
    note_attempt "$_d" "code=- reason=lost"
    put_state "$_d" "queued $keeper_words t0=${T0:-0} up0=$UP q0=${Q0:-0} attempt=$((${ATTEMPT:-1} + 1))" || return 0
    rm -f "$_d/again"
    wait_again
  else
    rm -f "$_entry" "$_d/again"
  fi
}

# release ID: the GPUs and slots that it claimed
release() {
  rm -f "$BASE/claims"/gpu-*".$1" "$BASE/claims/slot.$1"
}

# end_queued DIR WORDS: it ends without having run; its entry (_entry) goes last
end_queued() {
  now
  put_state "$1" "ended code=- $2 sure=1 t0=${T0:-0} up1=$UP t1=$(($(date +%s) * 100)) q0=${Q0:-${T0:-0}} attempt=${ATTEMPT:-1} survivors=0 pid=$PID ticks=$PTICKS machine=$MACHINE host=$NODE" || return 0
  rm -f "$_entry" "$1/env" "$1/login" "$1/again"
  release "${1##*/}"
}

# start_fitting: in the order of the queue, each for which there is room. Who waits for a
# GPU keeps those behind it from taking one, so that the large do not starve; likewise slots.
start_fitting() {
  gpus_are_short='' slots_are_short='' was_read=''
  for _entry in "$QUEUE/waiting"/*; do
    _not_before='' _after=-
    { read -r _not_before _gpus _share _free_mib _slots _after <"$_entry"; } 2>/dev/null || continue
    id_of "$_entry"
    _d=$JOBS/$_id
    [ -d "$_d" ] || { rm -f "$_entry"; continue; }
    case $_after.$_gpus.$_slots in
      -.0.*) [ -z "$slots_are_short" ] || [ "$_slots" = 0 ] || continue ;;
      -.*) [ -z "$gpus_are_short" ] || continue ;;
    esac
    if [ "$_not_before" -gt "$UP" ] && [ "$_not_before" -le $((UP + 60000)) ]; then
      [ "$_not_before" -ge "$next_look" ] || next_look=$_not_before
      continue
    fi
    is_its_turn || continue
    is_keeper || return 0
    claim_room || continue
    (
      exec 8<&-
      start_queued "$_entry" "$_id"
    ) &
  done
  [ -n "$gpus_are_short" ] || rm -f "$QUEUE/gpu"
  [ -n "$slots_are_short" ] || rm -f "$QUEUE/slot"
}

# is_its_turn: those that come first are over; where one did not succeed that should, it ends
is_its_turn() {
  _unread=$_after,
  [ "$_after" != - ] && [ ! -e "$_d/attempts" ] || _unread=
  while [ -n "$_unread" ]; do
    _first=${_unread%%,*} _unread=${_unread#*,}
    get_state "$JOBS/${_first%:any}" || PHASE=missing
    case $PHASE in
      ended) ;;
      queued) return 1 ;;
      missing) LINE='' ;;
      *)
        find_life "$JOBS/${_first%:any}"
        case $LIFE in
          gone | restarted) [ ! -e "$JOBS/${_first%:any}/again" ] || return 1 ;;
          *) return 1 ;;
        esac
        ;;
    esac
    case $_first:$LINE in
      *:any:*) ;;
      *" code=0 reason=exited "*) ;;
      *)
        end_waiting "reason=unmet after=$_first"
        return 1
        ;;
    esac
  done
  write_wait
}

# end_waiting WORDS: the job of this entry is never going to begin
end_waiting() {
  read_stat self
  _claimed=$QUEUE/held/${_entry##*/}.$ITS.$TICKS@$MACHINE
  mv "$_entry" "$_claimed" || return 0
  _entry=$_claimed
  get_state "$_d"
  end_queued "$_d" "$1"
  poked=1 # others may wait for this one
}

# write_wait [WORDS]: what it waits for now
write_wait() {
  _now=${1-slot} _was=
  [ "$_gpus" = 0 ] || _now=${1-gpu}
  { read -r _was <"$_d/waits"; } 2>/dev/null
  [ "$_was" = "$_now" ] || overwrite "$_d/waits" "$_now" # also where the disk is full
}

# start_queued ENTRY ID: becomes the supervisor of a job, unless another does
start_queued() {
  trap '' HUP PIPE
  trap - USR1
  _entry=$1 _id=$2
  _d=$JOBS/$_id
  read_stat self
  HELD_ENTRY=$QUEUE/held/${1##*/}.$ITS.$TICKS@$MACHINE
  mv "$1" "$HELD_ENTRY" || exit 0
  get_state "$_d"
  [ "$PHASE" = queued ] || exit 0
  if ! load_start "$_d"; then
    write_wait 'format'
    exit 0 # back in the queue at the next round
  fi
  LOGIN_ENV=$(cat "$_d/login") || exit 0
  now
  _up0=$UP _t0=$(($(date +%s) * 100)) _attempt=${ATTEMPT:-1}
  put_state "$_d" "starting pid=$ITS ticks=$TICKS machine=$MACHINE host=$NODE t0=$_t0 up0=$UP q0=${Q0:-$T0} attempt=$_attempt" || exit 0
  umask "$_umask"
  supervise "$_d" bg "$_timeout" "$_grace" "$_cap" 1 "$_shell" "$_cwd" "$_t0" "$_attempt" "${Q0:-$T0}"
}
