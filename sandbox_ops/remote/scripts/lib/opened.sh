# shellcheck shell=sh
# Opening a file that a client names, where others may write: never to wait for ever, and
# never to read what the user denies. Shared by the library and by our own scripts, so it
# uses nothing else of the library.

# with_opened FILE FUNCTION ARGUMENT...: calls it with FILE opened as file 8, in a process of
# its own. A name that was checked may be a pipe's by now, and to open that waits for its
# writer: who has not opened it within a second is killed. Fails where it was not opened.
with_opened() {
  (
    command exec 8<"$1" || exit 79
    shift
    "$@"
    exit 0
  ) &
  _opener=$! _looks=0
  until [ -e "/proc/$_opener/fd/8" ]; do
    _life=Z
    { read -r _ _ _life _; } 2>/dev/null <"/proc/$_opener/stat"
    [ "$_life" != Z ] || break
    _looks=$((_looks + 1))
    [ $_looks -gt 200 ] || continue # it is on its way: less than a sleep would take
    [ $_looks -lt 250 ] || { kill -s KILL $_opener; break; }
    sleep 0.02 2>/dev/null || { sleep 1; _looks=250; }
  done
  wait $_opener 2>/dev/null
  case $? in 79 | 137) return 1 ;; esac
}

# find_opened: REAL = where file 8 really is; whether it is a file that has an end
find_opened() {
  REAL=$(readlink /proc/self/fd/8 2>/dev/null) || REAL=
  [ -f /proc/self/fd/8 ]
}

# find_real PATH: REAL = where it leads, the last name as it stands; what is not there is
# taken as it is written
find_real() {
  _was=$PWD _up=${1%/*}
  until cd -P "${_up:-/}" 2>/dev/null; do _up=${_up%/*}; done
  REAL=${PWD%/}${1#"$_up"}
  cd "$_was" 2>/dev/null || cd /
}

# is_readable ROOTS DENY: whether the user lets REAL be read: like no pattern of DENY, and below
# one of ROOTS where there are any (or what a job of ours left); each is one a line. WHY not
is_readable() {
  [ -n "$1$2" ] || return 0
  WHY=
  [ -n "$REAL" ] || WHY="its real path cannot be found out"
  IFS='
'
  set -f
  for _each in $2; do
    # shellcheck disable=SC2254 # it is a pattern
    case $REAL in $_each) WHY="deny_read has $_each" ;; esac
  done
  if [ -n "$1" ] && [ -z "$WHY" ]; then
    WHY="it is below none of read_roots"
    _was=$PWD
    for _each in $1; do
      cd -P "$_each" 2>/dev/null || continue
      case $REAL in "$PWD" | "${PWD%/}"/*) WHY= ;; esac
    done
    if [ -n "$WHY" ] && cd -P "$HOME/.sandbox-ops/v1" 2>/dev/null; then
      case $REAL in
        "$PWD"/*/jobs/*/log | "$PWD"/*/jobs/*/stderr | "$PWD"/*/jobs/*/run.json | "$PWD"/*/jobs/*/dirty.patch*) WHY= ;;
      esac
    fi
    cd "$_was" 2>/dev/null || cd /
  fi
  set +f
  unset IFS
  [ -z "$WHY" ]
}
