#!/bin/sh
# usage: lease_take.sh PATH SECONDS NONCE HOLDER
#
# Takes the lease of the tree at PATH, for so many seconds by this machine's clock. It lies
# beside what it protects: in the clone's git folder, or, before there is a clone, beside
# PATH. Says `place=FILE` and `token=N-NONCE`, N more than any before; or `held_by=HOLDER`
# and `seconds=N`, how long ago that one took it. A lease is over when its time is, unless
# a step that it guards still runs here. `place=` alone: there is nothing to lock in yet.
# uses: read_stat same_start flock
set -eu
path=$1 seconds=$2 nonce=$3 holder=$4
if [ -e "$path/.git" ]; then
  place=$(cd "$path" && cd "$(git rev-parse --git-common-dir)" && pwd)/sandbox-ops-lease
else
  place=${path%/*}/.${path##*/}.sandbox-ops-lease
fi
(: >>"$place.lock") 2>/dev/null || {
  echo place= # we may not write there: the next step will say so
  exit 0
}
exec 9>>"$place.lock"
! command -v flock >/dev/null 2>&1 || flock -w 10 9 || :
now=$(date +%s)
token=0-none until=0 host='' pid='' ticks='' since=$now who=''
[ ! -s "$place" ] || read -r token until host pid ticks since who <"$place" || :
live=
[ "$now" -ge "$until" ] || live=yes
if [ "$host" = "$(uname -n)" ] && read_stat "$pid" && same_start "$ticks"; then
  live=yes
fi
if [ -n "$live" ]; then
  printf '%s\n' "held_by=$who" "seconds=$((now - since))"
  exit 0
fi
token=$((${token%%-*} + 1))-$nonce
printf '%s\n' "$token $((now + seconds)) - - - $now $holder" >"$place.new"
mv -f "$place.new" "$place"
printf '%s\n' "place=$place" "token=$token"
