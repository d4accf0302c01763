#!/bin/sh
# usage: notify_claim.sh take|free FOLDER KEY...
#
# Claims, for the job whose record is FOLDER, the right to send what each KEY stands for:
# one client gets it, or the machine itself. Says `claimed=KEY` for each that is ours now;
# `free` gives them back, of a client that could not send.
set -eu
how=$1 folder=$2
shift 2
[ -d "$folder" ] || exit 0
umask 077
mkdir "$folder/notified" 2>/dev/null || :
for key; do
  if [ "$how" = free ]; then
    rmdir "$folder/notified/$key" 2>/dev/null || :
  elif mkdir "$folder/notified/$key" 2>/dev/null; then
    echo "claimed=$key"
  fi
done
