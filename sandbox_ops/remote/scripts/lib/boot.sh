# shellcheck shell=sh
# How a channel becomes a worker: our folders, and the environment of a login.

# boot: runs in the bare shell of a new channel. Keeps the library on disk, then gives
# the channel to a worker inside the login environment (what `bash -lc` gives). Returns where
# there is none: then this shell is to be the worker.
boot() {
  UMASK=$(umask)
  prepare_folders
  # shellcheck disable=SC2154 # the bootstrap's variable: our hash
  LIBRARY=$ROOT/lib/$h.sh
  # shellcheck disable=SC2154 # and its text, where what is on disk is none of ours
  if [ -z "$UNREADY" ] && [ -n "$l" ]; then
    rm -f "$LIBRARY.$$"
    { printf '%s' "$l" >"$LIBRARY.$$" && mv -f "$LIBRARY.$$" "$LIBRARY"; } 2>/dev/null ||
      UNREADY="refused:full cannot write $LIBRARY: is the disk full, or read-only?"
  fi
  LOGIN=none
  if [ -z "$UNREADY" ] && command -v bash >/dev/null 2>&1; then
    # start-up files may print, read and redirect: the channel waits on fds 8 and 9
    umask "$UMASK" # the user's own, for the user's commands
    # in a session of its own: it forks supervisors, which outlive the channel
    bash -lc "$LOGIN_FUNCTIONS SANDBOX_OPS_SH='$SH' exec $SETSID $SH"' "$0" worker <&8 >&9 8<&- 9>&-' \
      "$LIBRARY" "$BASE/functions.$NODE" 8<&0 9>&1 </dev/null >/dev/null 2>&1
    _code=$?
    [ $_code != 81 ] && [ $_code -le 128 ] || exit 0 # it was the worker that ended, or was killed
    LOGIN=failed # a start-up file ended the shell, or became another one
  fi
}

# For bash, in the login shell: its functions (conda, module), for the user's commands. Only
# the exported ones where all together are long. As a file for BASH_ENV, which puts that
# variable back.
# shellcheck disable=SC2016 # for bash to expand
LOGIN_FUNCTIONS='set +eu
(
unset IFS
unset -f command_not_found_handle
f=$(declare -f)
[ ${#f} -le 65536 ] || f=$(declare -Fx | while read -r _ _ n; do declare -f "$n"; done)
[ -z "$f" ] || {
  printf "%s\n" "$f"
  declare -Fx
  if [ -z "$BASH_ENV" ]; then
    printf "unset BASH_ENV\n"
  else
    printf "BASH_ENV=%q\n[ ! -r \"\$BASH_ENV\" ] || . \"\$BASH_ENV\"\n" "$BASH_ENV"
  fi
} >"$1.$$"
)
'

# keep_functions: FUNCTIONS = the file that they are in, if there are any that bash can read
keep_functions() {
  FUNCTIONS=
  [ -e "$BASE/functions.$NODE.$$" ] || return 0
  if bash --noprofile --norc -n "$BASE/functions.$NODE.$$"; then
    mv -f "$BASE/functions.$NODE.$$" "$BASE/functions.$NODE" && FUNCTIONS=$BASE/functions.$NODE
  else
    rm -f "$BASE/functions.$NODE.$$"
  fi
}

# prepare_folders: ROOT BASE, our folders under $HOME, and why they cannot be used: UNREADY
prepare_folders() {
  UNREADY=''
  umask 077
  ROOT=${HOME-}/.sandbox-ops
  node
  for _tool in cat chmod date dd grep head mkdir mkfifo mv rm sleep stat tail tr wc; do
    command -v $_tool >/dev/null 2>&1 ||
      { UNREADY="refused $_tool is missing on this machine: install it"; return; }
  done
  [ -n "${HOME-}" ] || {
    UNREADY="refused HOME is not set on this machine, and /etc/passwd names no home of uid $(id -u): set HOME there"
    return
  }
  [ -d "$HOME" ] || {
    UNREADY="refused the home directory $HOME is not there: make it, or correct it in /etc/passwd"
    return
  }
  for _d in "$ROOT" "$ROOT/lib" "$ROOT/v1"; do # before anything is made or written there
    [ ! -h "$_d" ] || { UNREADY="denied $_d is a symbolic link: make it a folder of yours"; return; }
  done
  find_store
  for _d in "$ROOT" "$ROOT/lib" "$ROOT/v1" "$BASE" "$BASE/jobs" "$BASE/tokens" "$BASE/claims" \
    "$BASE/live" "$BASE/names" "$BASE/limits" "$BASE/groups"; do
    [ -d "$_d" ] || mkdir "$_d" 2>/dev/null || [ -d "$_d" ] ||
      { UNREADY="refused:full cannot make $_d: is the disk full, or read-only?"; return; }
  done
  for _d in "$ROOT" "$ROOT/lib" "$ROOT/v1" "$BASE" "$BASE/jobs"; do
    # shellcheck disable=SC3067 # dash, bash and busybox all have it
    [ -O "$_d" ] || { UNREADY="denied $_d belongs to another user"; return; }
  done
  [ "${1-}" = again ] || chmod 700 "$ROOT"
  [ -s "$BASE/full" ] || { printf '%s\n%99s' 0 '' >"$BASE/full"; } 2>/dev/null
  [ -s "$BASE/ballast" ] || { printf '%65536s' . >"$BASE/ballast"; } 2>/dev/null ||
    UNREADY="refused:full cannot write in $BASE: is the disk full, or read-only?"
  [ -n "$UNREADY" ] || prepare_reader "${1-}"
}

# find_store: BASE = the store of this home, one for all machines that have it: host names
# change, and a container that is created again has another. It is `home`; where older versions
# left one a host name, `home` leads to this host's, or to the one that gave most ids.
find_store() {
  BASE=$ROOT/v1/home
  if [ -h "$BASE" ]; then
    BASE=$ROOT/v1/$(readlink "$BASE")
  elif [ ! -d "$BASE" ] && [ -d "$ROOT/v1" ]; then
    adopt_store
  fi
}

adopt_store() {
  _most=0 _old=''
  for _d in "$ROOT/v1"/*/last; do
    _n=0
    { read -r _n <"$_d"; } 2>/dev/null || continue
    _d=${_d%/last}
    [ "${_n:-0}" -le "$_most" ] || _most=$_n _old=${_d##*/}
  done
  [ ! -d "$ROOT/v1/$NODE/jobs" ] || _old=$NODE
  [ -n "$_old" ] || return 0
  ln -s "$_old" "$BASE" 2>/dev/null || [ ! -h "$BASE" ] || _old=$(readlink "$BASE")
  BASE=$ROOT/v1/$_old _n=0
  { read -r _n <"$BASE/floor"; } 2>/dev/null
  # ids that another of them gave are not given again
  [ "${_n:-0}" -ge "$_most" ] || { printf '%s\n' "$_most" >"$BASE/floor"; } 2>/dev/null
}

SETSID=
if command -v setsid >/dev/null 2>&1; then
  SETSID=$(command -v setsid)
elif command -v busybox >/dev/null 2>&1 && busybox setsid true 2>/dev/null; then
  SETSID='busybox setsid'
fi

# here, and not at the end: the rest is the worker's, which reads it itself; 3 ms of each connect
[ -n "${1-}" ] || boot
