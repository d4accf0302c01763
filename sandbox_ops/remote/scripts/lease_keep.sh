#!/bin/sh
# usage: lease_keep.sh PLACE TOKEN SECONDS
#
# Keeps a lease for so many seconds more, or gives it back with 0. Says `kept=yes`, or
# `kept=no` where somebody else has it by now.
# uses: flock
set -eu
place=$1 mine=$2 seconds=$3
exec 9>>"$place.lock"
! command -v flock >/dev/null 2>&1 || flock -w 10 9 || :
token='' until=0 host=- pid=- ticks=- since=0 who=''
read -r token until host pid ticks since who <"$place" || :
if [ "$token" != "$mine" ]; then
  echo kept=no
  exit 0
fi
case $seconds:$place in
0:*/sandbox-ops-lease) ;;
0:*) # before there was a clone: nothing is to be left beside it
  rm -f "$place" "$place.lock"
  echo kept=yes
  exit 0
  ;;
esac
now=$(date +%s)
until=$((now + seconds))
[ "$seconds" != 0 ] || until=0 host=- pid=- ticks=-
printf '%s\n' "$token $until $host $pid $ticks $since $who" >"$place.new"
mv -f "$place.new" "$place"
echo kept=yes
