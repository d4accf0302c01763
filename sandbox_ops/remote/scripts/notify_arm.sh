#!/bin/sh
# usage: SANDBOX_OPS_NOTIFY=TEXT notify_arm.sh FOLDER
#
# Has the machine itself say that the job whose record is FOLDER has ended: TEXT is what
# the library's notify.sh reads, a secret, and so no argument. One that has ended by now
# is said at once, by the client that asked: `ended=yes`. Says `sender=no` without curl or GNU wget.
set -eu
folder=$1
umask 077
if ! command -v curl >/dev/null 2>&1 && ! wget --version 2>/dev/null | grep -q GNU; then
  echo sender=no
  exit 0
fi
printf '%s\n' "$SANDBOX_OPS_NOTIFY" >"$folder/notify.new"
mv -f "$folder/notify.new" "$folder/notify"
if grep -q '^ended ' "$folder/state" 2>/dev/null; then
  rm -f "$folder/notify" # its end has gone by
  echo ended=yes
fi
