#!/bin/sh
# usage: job_processes.sh FOLDER
#
# Prints the processes that carry the marker of the job in FOLDER: `PID NAME`, a line each.
# uses: knows_z find_marked read_name
find_marked "$1"
for pid in $MARKED; do
  read_name "$pid"
  [ "$NAME" = '?' ] || printf '%s %s\n' "$pid" "$NAME"
done
