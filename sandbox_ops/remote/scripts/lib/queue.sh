# shellcheck shell=sh
# The queue: jobs that wait on this machine for GPUs, a slot, or the end of another job.
#
# A job that waits is a file `PRIORITY.PLACE.ID` in BASE/queue/NODE/waiting; the order of
# these names is the order of the queue. The process that takes it out renames it into `held` with
# its own identity behind the name: of those who try at once one succeeds. The keeper
# (keeper.sh) puts back what a process held that died. A start leaves its file in `new`
# until its token is granted. What the file says: not before (a centisecond of uptime),
# GPUs, jobs a GPU, free MiB, slots, jobs that come first or `-`.

START_FORMAT=1 # of the file `start`: what a newer one means, only a newer keeper knows
PLACE_STEP=1048576 # between two neighbours there is room for others

# do_queue move REFERENCE first|last|NUMBER: change a waiting job's place
do_queue() {
  resolve "$2"
  find_record "$JOBS/$_id" || { answer_error not-found "no job $2"; return; }
  find_waiting "$_id" || { answer_error refused "$_id does not wait in the queue"; return; }
  place_at "$_id" "$3" ||
    { answer_error refused "$_id could not be moved: it began, or others were moved meanwhile"; return; }
  poke_keeper
  trailer "moved $_id"
}

# find_waiting ID: ENTRY = its file in the queue of any machine of this home
find_waiting() {
  for ENTRY in "$BASE/queue"/*/waiting/*".$1"; do [ ! -e "$ENTRY" ] || return 0; done
  return 1
}

# has_entries: anything waits here, or is on the way in or out
has_entries() {
  for _any in "$QUEUE"/waiting/* "$QUEUE"/held/* "$QUEUE"/new/*; do [ ! -e "$_any" ] || return 0; done
  return 1
}

# prepare_entry ID: its file, in `new`: NEW_ENTRY; by its priority (-999 to 999) and its number
prepare_entry() {
  [ -d "$QUEUE/new" ] || mkdir -p "$QUEUE/waiting" "$QUEUE/held" "$QUEUE/new" || return 1
  _rank=$((5000 - _priority)) _place=$((1000000000000000 + ${1#remote-} * PLACE_STEP))
  NEW_ENTRY=$QUEUE/new/$_rank.$_place.$1.$MYSELF
  printf '%12d %s\n' 0 "$_gpus $_share $_free_mib $_slots ${_after:--}" >"$NEW_ENTRY" &&
    [ -s "$NEW_ENTRY" ]
}

# enter_queue ID: it waits from now on
enter_queue() {
  mv "$NEW_ENTRY" "$QUEUE/waiting/$_rank.$_place.$1"
}

# place_at ID WHERE: by a rename. ENTRY is its file; the others keep their places
place_at() {
  _folder=${ENTRY%/*} _before='' _next='' _n=0 _wanted=$2
  case $_wanted in first) _wanted=1 ;; last) _wanted=1000000000 ;; esac
  for _other in "$_folder"/*; do
    [ "$_other" != "$ENTRY" ] && [ -e "$_other" ] || continue
    _n=$((_n + 1))
    if [ "$_n" -lt "$_wanted" ]; then _before=${_other##*/}; else
      _next=${_other##*/}
      break
    fi
  done
  [ -n "$_before$_next" ] || return 0
  _near=${_before:-$_next}
  _rank=${_near%%.*}
  place_of "${_next:-$_near}" && _high=$PLACE
  place_of "$_near" && _low=$PLACE
  if [ -z "$_next" ]; then
    _place=$((_low + PLACE_STEP))
  elif [ -z "$_before" ] || [ "${_next%%.*}" != "$_rank" ]; then
    # before the first; or the last of its priority
    _place=$((_low + PLACE_STEP))
    [ -n "$_before" ] || _place=$((_high - PLACE_STEP))
  else
    _place=$((_low + (_high - _low) / 2))
    if [ "$_place" = "$_low" ]; then
      spread_places "$_folder"
      find_waiting "$1" && place_at "$1" "$2"
      return
    fi
  fi
  mv "$ENTRY" "$_folder/$_rank.$_place.$1"
}

place_of() {
  PLACE=${1#*.}
  PLACE=${PLACE%%.*}
}

# spread_places FOLDER: there is room between all neighbours again
spread_places() {
  _i=0
  for _other in "$1"/*; do _i=$((_i - 1)); done
  select_series bg
  read_last_number
  _last_number=$_n
  for _other in "$1"/*; do
    _i=$((_i + 1)) _name=${_other##*/}
    mv "$_other" "$1/${_name%%.*}.$((1000000000000000 + (_last_number + _i) * PLACE_STEP)).${_name##*.}"
  done
}

# withdraw ID: takes a job out of the queue, for who stops it; fails where a living process
# has it, or it does not wait
withdraw() {
  find_waiting "$1" && rm "$ENTRY" 2>/dev/null && return 0
  for _other in "$BASE/queue"/*/held/*".$1".* "$BASE/queue"/*/new/*".$1".*; do
    [ -e "$_other" ] || continue
    holder_lives "$_other" || { rm "$_other" 2>/dev/null && return 0; }
  done
  return 1
}

# holder_lives ENTRY: the process that holds it is at work on it
holder_lives() {
  _holder=${1##*/}
  [ "${_holder#*@}" = "$MACHINE" ] || return 1
  _holder=${_holder%%@*}
  _born=${_holder##*.} _holder=${_holder%.*}
  is_alive "${_holder##*.}" "$_born"
}

# id_of ENTRY: _id
id_of() {
  _id=${1##*/}
  _id=${_id%%@*}
  _id=remote-${_id#*.remote-}
  _id=${_id%%.*}
}

# write_start DIR: what its start needs later, and the environment of this login. Its
# directory is last, for it may hold newlines. In `token` a second line: its place in a group.
write_start() {
  printf '%s\n' "format=$START_FORMAT" "timeout_cs=$_timeout" "grace_s=$_grace" \
    "cap_bytes=$_cap" "shell=$_shell" "umask=$UMASK" "retries=$_retries" "on=$_on" \
    "backoff_cs=$_backoff" "resume=$_resume" "cwd=$_cwd" >"$1/start" && [ -s "$1/start" ] &&
    printf '%s\n' "$_token" ${_group:+"$_group $_cell $_identity ${_commit:--}"} >"$1/token" && printf '%s\n' "$LOGIN_ENV" >"$1/login" && [ -s "$1/login" ] &&
    first_reason >"$1/waits" && [ -s "$1/waits" ]
}

# first_reason: what a job waits for, until the keeper has looked
first_reason() {
  if [ -n "$_after" ]; then printf 'after %s\n' "$_after"; elif [ "$_gpus" != 0 ]; then echo gpu; else echo slot; fi
}

# load_start DIR: the same, as start_fields has it; fails where it cannot be read, or is newer
load_start() {
  _format='' _timeout=0 _grace=10 _cap=0 _shell=bash _umask=077 _retries=0 _on='' _cwd=''
  _backoff=0 _resume='' _in_cwd=
  while IFS= read -r _line; do
    if [ -n "$_in_cwd" ]; then
      _cwd="$_cwd
$_line"
      continue
    fi
    case $_line in
      format=*) _format=${_line#*=} ;;
      timeout_cs=*) _timeout=${_line#*=} ;;
      grace_s=*) _grace=${_line#*=} ;;
      cap_bytes=*) _cap=${_line#*=} ;;
      shell=*) _shell=${_line#*=} ;;
      umask=*) _umask=${_line#*=} ;;
      retries=*) _retries=${_line#*=} ;;
      on=*) _on=${_line#*=} ;;
      backoff_cs=*) _backoff=${_line#*=} ;;
      resume=*) _resume=${_line#*=} ;;
      cwd=*) _cwd=${_line#*=} _in_cwd=1 ;;
    esac
  done 2>/dev/null <"$1/start"
  [ "${_format:-99}" -le $START_FORMAT ] && [ -n "$_in_cwd" ]
}

# say_wait ID: `waits ID`: its reason, then what its keeper saw of GPUs and slots
say_wait() {
  if [ -n "${SLURM_SAYS-}" ]; then
    printf '%s' "$SLURM_SAYS"
    trailer "waits $1"
    return 0
  fi
  _reason='' _owner=${ON:-$NODE}
  { read -r _reason <"$_dir/waits"; } 2>/dev/null
  [ "$_owner" = "$NODE" ] || _reason="host $_owner"
  [ "$LIFE" != again ] || _reason=lost
  printf '%s\n' "$_reason"
  case $_reason in
    gpu | slot)
      [ ! -s "$QUEUE/$_reason" ] || while IFS= read -r _detail; do
        printf '%s\n' "$_detail"
      done <"$QUEUE/$_reason"
      ;;
  esac
  trailer "waits $1"
}

# emit_queue: `queue ID...`: who waits here, in order
emit_queue() {
  _ids=
  for _entry in "$QUEUE/waiting"/*; do
    [ ! -e "$_entry" ] || _ids="$_ids ${_entry##*.}"
  done
  [ -z "${ROWS_AT-}" ] || list_slurm_queue
  [ -z "$_ids" ] || trailer "queue$_ids"
}
