# shellcheck shell=sh
# Whether the user lets a file be read that a client names: never what they deny. Shared by the
# library and by our own scripts, so it uses nothing else of the library.

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
