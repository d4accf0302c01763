#!/bin/sh
# usage: run_curves.sh LINES BYTES PATTERN JOB...
#
# Prints what each job wrote of its metrics, the whole course of it: its file of metrics, or
# those lines of its log that PATTERN (an extended one) matches. Of what is longer than
# LINES lines or BYTES bytes blocks of 32 lines, evenly spread, and the end: single lines
# would miss what is said every n-th time. Before each a line of NUL, `JOB SOURCE LINES EVERY`:
# how many lines there are, and in how many one block is (0: all are here).
set -u
max_lines=$1 max_bytes=$2 pattern=$3
shift 3
jobs=${SANDBOX_JOB%/*}

# metrics_lines FILE: those that matter; what redraws a line begins another
metrics_lines() {
  # shellcheck disable=SC2020 # sets of characters
  case $1 in
    */metrics.jsonl) tr -d '\000' <"$1" ;;
    *) tr '\r\000\010' '\n \n' <"$1" | LC_ALL=C grep -aE -e "$pattern" ;;
  esac | cut -b 1-4096
}

# blocks EVERY END: of as many lines the first 32, and all from line END on. By GNU's sed; a
# busybox without its addresses has an awk.
blocks() {
  if echo | sed -n 1~2p >/dev/null 2>&1; then
    sed -n -e "1~$1,+31b show" -e "$2,\$b show" -e d -e ':show' -e p
  else
    awk -v every="$1" -v end="$2" '(NR - 1) % every < 32 || NR >= end'
  fi
}

for job; do
  source=none file=
  if [ -s "$jobs/$job/metrics.jsonl" ]; then
    source=metrics file=$jobs/$job/metrics.jsonl
  elif [ -s "$jobs/$job/log" ]; then
    source=log file=$jobs/$job/log
  fi
  if [ -z "$file" ]; then
    printf '\0%s none 0 0\n' "$job"
    continue
  fi
  # shellcheck disable=SC2046 # two numbers
  set -- $(metrics_lines "$file" | wc -lc)
  lines=$1 bytes=$2
  factor=$((lines / max_lines + 1))
  [ $((bytes / max_bytes + 1)) -le $factor ] || factor=$((bytes / max_bytes + 1))
  if [ $factor = 1 ]; then
    printf '\0%s %s %s 0\n' "$job" $source "$lines"
    metrics_lines "$file"
  else
    every=$((factor * 32)) end=$((lines - 64))
    printf '\0%s %s %s %s\n' "$job" $source "$lines" $factor
    metrics_lines "$file" | blocks $every $end
  fi
done
