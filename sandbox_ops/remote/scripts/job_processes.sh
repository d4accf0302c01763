#!/bin/sh
# usage: job_processes.sh FOLDER
#
# Prints the processes that carry the marker of the job in FOLDER: `PID NAME`, a line each.
for environ in /proc/[0-9]*/environ; do
  tr '\000' '\n' 2>/dev/null <"$environ" | grep -qxF "SANDBOX_JOB=$1" || continue
  pid=${environ#/proc/}
  pid=${pid%/environ}
  read -r name <"/proc/$pid/comm" 2>/dev/null || continue
  printf '%s %s\n' "$pid" "$name"
done
