# shellcheck shell=sh
# One start: a number, a record, a supervisor, and the first look at what became of it.
# (A little over 250 lines: the steps of one start, each of which undoes those before it.)

# do_start NAME=VALUE...: the fields of a start, by name (start_fields), and a word
# `file.NAME=CONTENT` for each file that the record is to hold.
# One job a token, however often it is asked. Everything is on disk before the process
# is; a write that fails takes the folder away again.
do_start() {
  [ -z "$UNREADY" ] || { answer_error "${UNREADY%% *}" "${UNREADY#* }"; return; }
  [ -s "$LIBRARY" ] && [ -d "$JOBS" ] && [ -d "$BASE/live" ] || exit 81 # removed: it is created again
  start_fields "$@" || return
  if is_granted || { [ -e "$BASE/tokens/$_token" ] && await_grant; }; then
    answer_known
    return
  fi
  [ -d "$_cwd" ] || { answer_error not-found "no such directory: $_cwd"; return; }
  [ -x "$_cwd" ] || { answer_error denied "cannot enter $_cwd"; return; }
  [ "$_shell" != bash ] || command -v bash >/dev/null || _shell='any'
  new_id || { answer_error refused "cannot make a folder under $JOBS: is the disk full, or read-only?"; return; }
  _d=$JOBS/$_id
  now
  _t0=$((EPOCH * 100 + UP - EPOCH_UP)) _up0=$UP
  if ! write_record "$_d" "$@"; then
    note_disk_full "$BASE"
    rm -rf "$_d" ${_queue:+"$NEW_ENTRY"}
    answer_error refused "cannot write the job's record in $_d: the disk is full, or read-only"
    return
  fi
  if [ -n "$_claims" ] && ! claim_all "$_claims"; then
    for _mine in $_claims; do rm -f "$BASE/claims/$_mine.$_id"; done
    rm -rf "$_d" ${_queue:+"$NEW_ENTRY"}
    return
  fi
  if [ -n "$_group" ] && ! take_cell; then
    rm -rf "$_d" ${_queue:+"$NEW_ENTRY"}
    return
  fi
  [ -z "$_claims" ] || put_state "$_d" "${_queue:-starting} $SELF t0=$_t0 up0=$_up0"
  if ! create_exclusive "$BASE/tokens/$_token" "$_id"; then # the same request, sent again, was quicker
    note_if_full "$BASE"
    rm -rf "$_d" ${_queue:+"$NEW_ENTRY"}
    if await_grant; then
      answer_known
    else
      answer_error refused "cannot write in $BASE/tokens: is the disk full, or read-only?"
    fi
    return
  fi
  # before its first answer, so that who knows of the job finds it by name
  [ -z "$_name" ] || printf '%s\n' "$_id" >"$BASE/names/$_name" || rm -f "$BASE/names/$_name"
  if [ -n "$_slurm" ]; then
    submit_new
    return
  fi
  [ -z "$_group" ] || join_group
  if [ -n "$_queue" ]; then
    enter_queue "$_id"
    [ -n "${STARTS_MORE-}" ] || poke_keeper
    emit_job "$_id" j 0 "$_max" 0 "$_max"
    return
  fi
  set_alarm || { listen && set_alarm; }
  ( # a fork of ours: a new shell, and the library read again, take longer than `true`
    exec >/dev/null 2>&1 6>&- 9<&-
    umask "$UMASK"
    supervise "$_d" "$_kind" "$_timeout" "$_grace" "$_cap" "$_wait" "$_shell" "$_cwd" "$_t0"
  ) &
  _supervisor=$!
  while read -r _who _what <&7 && [ "$_who" != "$_id" ]; do :; done
  [ "$_what" != ended ] || REAP=$_supervisor # it is about to go: once we have answered
  [ -d "$_d" ] || find_record "$_d"
  emit_job "$_id" k 0 "$_max" 0 "$_max"
}

# start_fields NAME=VALUE...: _token _kind (fg, bg) _timeout (centiseconds; 0: none) _grace
# (seconds) _cap (bytes; 0: none) _wait (centiseconds) _max (bytes of each stream in the
# answer) _shell _cwd _spec _env _command _claims _name (as a file's); _group (as a file's)
# _cell _identity _commit: its place in a group; _queue, for one that waits, and what it waits
# for (queue_fields). Whoever sends a field that we do not know is newer than this library.
start_fields() {
  _token='' _kind=bg _timeout=0 _grace=10 _cap=0 _wait=0 _max=0 _shell=bash _cwd=''
  _spec='' _env='' _command='' _claims='' _name='' _queue='' _resume='' NEW_ENTRY='' _slurm=''
  _group='' _cell='' _identity='' _commit=''
  for _field in "$@"; do
    case $_field in
      token=*) _token=${_field#*=} ;;
      kind=*) _kind=${_field#*=} ;;
      timeout_cs=*) _timeout=${_field#*=} ;;
      grace_s=*) _grace=${_field#*=} ;;
      cap_bytes=*) _cap=${_field#*=} ;;
      wait_cs=*) _wait=${_field#*=} ;;
      max_bytes=*) _max=${_field#*=} ;;
      shell=*) _shell=${_field#*=} ;;
      cwd=*) _cwd=${_field#*=} ;;
      spec=*) _spec=${_field#*=} ;;
      env=*) _env=${_field#*=} ;;
      command=*) _command=${_field#*=} ;;
      claims=*) _claims=${_field#*=} ;;
      name=*) _name=${_field#*=} ;;
      group=*) _group=${_field#*=} ;;
      cell=*) _cell=${_field#*=} ;;
      identity=*) _identity=${_field#*=} ;;
      commit=*) _commit=${_field#*=} ;;
      queue=*) queue_fields "${_field#*=}" || return 1 ;;
      slurm=*) _slurm=${_field#*=} ;;
      resume=*) _resume=${_field#*=} ;;
      file.*) ;;
      *) answer_error protocol "unknown field of a start: ${_field%%=*}"; return 1 ;;
    esac
  done
  [ -n "$_token" ] && [ -n "$_command" ] ||
    { answer_error protocol 'a start without its token or its command'; return 1; }
  _cwd=${_cwd:-$HOME}
  [ -z "$_slurm" ] || [ -n "$_queue" ] || queue_fields ''
}

# queue_fields WORDS: _queue, for a job that waits; _gpus _share _free_mib _slots (a number, or
# `cores`) _priority _after (ids, with `:any` where any end will do), _retries _on _backoff
queue_fields() {
  _queue=queued _gpus=0 _share=1 _free_mib=0 _slots=0 _priority=0 _after='' _retries=0 _on='' _backoff=0
  for _field in $1; do
    case $_field in
      gpus=*) _gpus=${_field#*=} ;;
      share=*) _share=${_field#*=} ;;
      free_mib=*) _free_mib=${_field#*=} ;;
      slots=*) _slots=${_field#*=} ;;
      priority=*) _priority=${_field#*=} ;;
      after=*) _after=${_field#*=} ;;
      retries=*) _retries=${_field#*=} ;;
      on=*) _on=${_field#*=} ;;
      backoff_cs=*) _backoff=${_field#*=} ;;
      *) answer_error protocol "unknown field of a queued start: ${_field%%=*}"; return 1 ;;
    esac
  done
}

# set_alarm: the clock is to look after this job, if it should last
set_alarm() {
  _late=10
  [ "$_timeout" = 0 ] || [ "$_timeout" -gt 10 ] || _late=$_timeout
  printf '%s\n' "$((UP + _late)) $_timeout $_grace $_cap $_wait ${_d##*/}" >&6
}

# new_id: _id, claimed by mkdir. Jobs and commands are counted apart (select_series). LAST is a
# hint that may lag or be lost (written first, so that others who start now try the next: a
# a failed mkdir costs a process); FLOOR is not: no number up to it is given again, for a
# record of that number may be pruned.
new_id() {
  _floor=0
  select_series "$_kind"
  read_last_number
  read -r _floor <"$FLOOR"
  [ "${_floor:-0}" -le "$_n" ] || _n=$_floor
  _taken=0
  while :; do
    _n=$((_n + 1))
    _id=$SERIES-$_n
    if [ ! -d "$JOBS/$_id" ]; then
      overwrite "$LAST" "$_n"
      mkdir "$JOBS/$_id" && break
      [ -d "$JOBS/$_id" ] || return 1
    fi
    _taken=$((_taken + 1))
    [ $_taken != 50 ] || highest_folder # far behind: from the highest that there is
  done
  if [ $((_n % 200)) = 0 ]; then
    run_detached prune "$BASE"
  fi
}

# create_exclusive FILE LINE: make it; of those who try at once one succeeds. Without a fork.
# Where the line cannot be written, the file goes again: an empty one would be in the way of all.
create_exclusive() {
  set -C
  printf '' >"$1"
  _made=$?
  set +C
  [ $_made = 0 ] || return 1
  printf '%s\n' "$2" >"$1" && [ -s "$1" ] && return 0
  rm -f "$1"
  return 1
}

# is_granted: _id = the job that the token of this start was granted to
is_granted() {
  { read -r _id <"$BASE/tokens/$_token"; } 2>/dev/null && [ -n "$_id" ]
}

# await_grant: the same, where another start of that token is just being granted it. Fails where
# its file stays empty: who made it was killed, so it is in the way of nobody for long.
await_grant() {
  _looks=0
  until is_granted; do
    if [ ! -e "$BASE/tokens/$_token" ] || [ $_looks -ge $END_CS ]; then
      find "$BASE/tokens/$_token" -size 0 -mmin +1 -exec rm -f {} +
      return 1
    fi
    _looks=$((_looks + 1))
    pause 1
  done
}

# answer_known: with the job _id that this start is already
answer_known() {
  [ -z "$_group" ] || join_late
  emit_job "$_id" j 0 "$_max" 0 "$_max"
}

# write_record DIR NAME=VALUE...: the record, each write checked
write_record() {
  _f=$1 _phase=${_claims:+claiming} # not to be seen before its claims are granted
  _phase=${_phase:-${_queue:-starting}}
  printf '%s\n' "$_spec" >"$_f/spec.json" && [ -s "$_f/spec.json" ] &&
    printf '%s\n' "$_command" >"$_f/command" && [ -s "$_f/command" ] &&
    printf '%s\n%511s' "$_phase $SELF t0=$_t0 up0=$UP $_phase" '' >"$_f/state" &&
    [ -s "$_f/state" ] && printf '' >"$_f/log" || return 1
  [ "$_kind" = bg ] || printf '' >"$_f/stderr" || return 1
  [ -z "$_env" ] || printf '%s\n' "$_env" >"$_f/env" || return 1
  [ -z "$_queue" ] || { write_start "$_f" && if [ -n "$_slurm" ]; then write_slurm "$_f"; else prepare_entry "${_f##*/}"; fi; } || return 1
  shift
  for _field in "$@"; do
    case $_field in file.*) ;; *) continue ;; esac
    _field=${_field#file.}
    printf '%s' "${_field#*=}" >"$_f/${_field%%=*}" || return 1
  done
}

# claim_all KEYS: this job alone may hold them (a name, a GPU). Each start first leaves
# its mark, then looks for the others': of two at once neither can miss both.
claim_all() {
  for _key in $1; do
    printf '' >"$BASE/claims/$_key.$_id" && continue
    note_if_full "$BASE"
    answer_error refused "cannot write in $BASE/claims: is the disk full, or read-only?"
    return 1
  done
  for _key in $1; do
    for _mark in "$BASE/claims/$_key".remote-*; do
      _other=${_mark##*.}
      [ "$_other" != "$_id" ] || continue
      if is_active "$JOBS/$_other"; then
        _why=held
        if [ "$PHASE" = claiming ] || { [ "$PHASE" = queued ] && ! has_grant "$JOBS/$_other"; }; then
          _why=claiming # and may yet be refused itself; or its start was cut off, and its keeper removes it
          poke_keeper
        fi
        answer_error "refused $_why" "$_key is held by $_other, which has not ended"
        return 1
      fi
      [ "$LIFE" = elsewhere ] || rm -f "$_mark"
    done
  done
}
