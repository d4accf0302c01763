# shellcheck shell=sh
# Ids of jobs and commands: the two series, their last numbers, and what a reference means.

# select_series KIND: SERIES = what the ids of background jobs (bg) or commands (fg) begin with;
# LAST FLOOR = the files that hold its highest numbers
select_series() {
  SERIES=remote LAST=$BASE/last FLOOR=$BASE/floor
  [ "$1" != fg ] || SERIES=cmd LAST=$BASE/last-cmd FLOOR=$BASE/floor-cmd
}

# read_last_number: _n = the last number of the series, or near it; a full disk may have cost the note
read_last_number() {
  _n=
  { read -r _n <"$LAST"; } 2>/dev/null
  case $_n in '' | *[!0-9]*) highest_folder && _n=${_n:-0} ;; esac
}

# highest_folder: _n = the highest number of the series among the folders
highest_folder() {
  # shellcheck disable=SC2012 # our own names
  _n=$(ls -f "$JOBS" | sed -n "s/^$SERIES-\([0-9]*\)\$/\1/p" | sort -n | tail -n 1)
}

# highest_number: _n = the last number of the series
highest_number() {
  read_last_number
  while [ -d "$JOBS/$SERIES-$((_n + 1))" ]; do _n=$((_n + 1)); done
}

# resolve REFERENCE: _id = the job meant by an id, `last` (the newest background job) or
# `name=KEY` (the newest of that name, which is still there or not; `group` where that is a
# group), or `cell=KEY/CELL` (of a group)
resolve() {
  _id=$1
  case $1 in
    last)
      select_series bg
      highest_number
      while [ "$_n" -gt 0 ] && [ -e "$JOBS/remote-$_n/stderr" ]; do _n=$((_n - 1)); done
      _id=remote-$_n
      ;;
    name=*)
      _id=none
      { read -r _id <"$BASE/names/${1#name=}"; } 2>/dev/null
      _id=${_id:-none}
      ;;
    cell=*) find_cell "${1#cell=}" ;;
  esac
}
