# shellcheck shell=sh
# A job whose folder was removed while it runs gets a record again: its supervisor, its
# watcher, or who looks for it, makes it of what is still known.

# write_end WORDS: the last state. Where the folder was removed, into one that is made
# again; where its name is another job's by now, nowhere.
write_end() {
  # Slurm called its node dead meanwhile, and that was reported: that end stays
  [ -z "${IN_SLURM-}" ] || ! get_state "$dir" || [ "$PHASE" != ended ] || return 0
  if is_opened_at "$dir/state"; then
    put_state "$dir" "$1"
  elif [ ! -d "$dir" ]; then
    restore_record "$dir" "$kind" "$1"
  elif get_state "$dir"; then
    # restored by the watcher, or the whole store is another
    case $PHASE.$LEADER.$LTICKS in
      running.. | *".$leader.$lticks") put_state "$dir" "$1 removed=1" ;;
    esac
  else
    false # another is restoring it
  fi
}

# restore_record DIR KIND WORDS: the folder of a job was removed: a record again, of what
# is known. Of several who try, one makes it. Made under another name, for whoever finds a
# folder without a state takes the job for one that is not there.
restore_record() {
  read_stat self
  _made=${1%/*}/.${1##*/}.$ITS
  mkdir "$_made" 2>/dev/null || return 1
  _fg=false
  [ "$2" = bg ] || { _fg=true && printf '' >"$_made/stderr"; }
  printf '{"format": 1, "command": "", "description": "%s", "foreground": %s}\n' \
    'its folder was removed while it ran' $_fg >"$_made/spec.json"
  printf '' >"$_made/command"
  printf '' >"$_made/incomplete"
  printf '' >"$_made/log"
  if put_state "$_made" "$3 removed=1" && [ ! -d "$1" ] && mv "$_made" "$1" 2>/dev/null &&
    [ ! -d "$1/${_made##*/}" ]; then
    return 0
  fi
  rm -rf "$_made" "${1:?}/${_made##*/}" # another was quicker: then `mv` moves it into that one's
  return 1
}

# find_again DIR: its folder was removed while it runs. Its leader carries the marker, and
# its leader's parent, the supervisor, does not: a record again.
find_again() {
  LEADER=''
  find_members "$1"
  [ -n "$PIDS" ] || return 1
  now
  _words="t0=$((EPOCH * 100 + UP - EPOCH_UP)) up0=$UP" _kind=bg
  for _p in $PIDS; do
    read_stat "$_p" && [ "$SID" = "$_p" ] || continue
    case "$PIDS $ADOPTERS" in *" $PARENT "*) continue ;; esac
    _words="t0=$((EPOCH * 100 + TICKS - EPOCH_UP)) leader=$_p lticks=$TICKS up0=$TICKS"
    read_stat "$PARENT" && _words="pid=$ITS ticks=$TICKS $_words"
    ! has_stderr_file "$_p" || _kind='fg'
    break
  done
  restore_record "$1" $_kind "running machine=$MACHINE host=$NODE $_words" || [ -d "$1" ]
}

# restore_held DIR: its leader is gone too, but its supervisor has still to write the end: a
# record again, by the state that it holds open
restore_held() {
  read_held_state "$1/state" || return 1
  _kind='bg'
  case $1 in */cmd-*) _kind='fg' ;; esac
  case $HELD_STATE in
    *' running') _words=${HELD_STATE% running} ;;
    *' starting') _words=${HELD_STATE% starting} ;;
    *) return 1 ;;
  esac
  restore_record "$1" $_kind "running ${_words#* }" || [ -d "$1" ]
}

# find_record DIR: the job's record is there, read as get_state does; removed while it runs, it
# is created again
find_record() {
  get_state "$1" && return 0
  _looks=0
  while [ -d "$1" ]; do # its state is not: just being removed, file by file, or just begun
    [ $_looks -lt $END_CS ] || return 1
    _looks=$((_looks + 1))
    pause 1
    get_state "$1" && return 0
  done
  { find_again "$1" || restore_held "$1"; } && get_state "$1" && return 0
  case $1 in *-[1-9]*) ;; *) return 1 ;; esac
  pause $END_CS # it may just have ended: then its supervisor creates it again
  get_state "$1"
}
