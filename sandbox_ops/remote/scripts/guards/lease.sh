#!/bin/sh
# usage: set -- PLACE TOKEN SECONDS, before a script that changes what a lease protects
#
# Ends the script, with nothing changed, where the lease is somebody else's by now. Else
# notes this shell in it, so that nobody takes the lease over while the script runs.
# uses: read_stat flock
lease_guard() {
  exec 9>>"$1.lock" || return
  ! command -v flock >/dev/null 2>&1 || flock -w 10 9 || :
  read -r token until host pid ticks since who <"$1" || :
  if [ "$token" != "$2" ]; then
    echo "error=refused ${who:-somebody else} has taken over meanwhile; this step was not done"
    exit 75
  fi
  place=$1 until=$(($(date +%s) + $3))
  read_stat $$
  # shellcheck disable=SC2153 # read_stat makes it
  host=$(uname -n) pid=$$ ticks=$TICKS
  printf '%s\n' "$token $until $host $pid $ticks $since $who" >"$place.new"
  mv -f "$place.new" "$place"
  exec 9>&-
}
lease_guard "$@" || exit
unset token until host pid ticks since who place ITS STATE PARENT SID TICKS
