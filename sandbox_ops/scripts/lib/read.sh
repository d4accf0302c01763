# shellcheck shell=sh
# Reading files: what can be read is decided here, in one place, before a byte is.

# do_read lines PATH OFFSET LIMIT MAX_BYTES
do_read() {
  readable "$2" || return
  "read_$1" "$2" "$3" "$4" "$5"
}

# readable PATH: a regular file with an end, ours to read; says why not. SIZE.
readable() {
  case $1 in /*) ;; *) no refused "the path must be absolute: $1"; return 1 ;; esac
  if [ ! -e "$1" ]; then
    _up=$1
    while [ -n "$_up" ] && [ ! -d "$_up" ]; do _up=${_up%/*}; done
    if [ -h "$1" ]; then
      no not-found "$1 is a symbolic link to nothing"
    elif [ ! -x "${_up:-/}" ]; then
      no denied "cannot look into ${_up:-/}: permission denied"
    else
      no not-found "no such file: $1
the nearest directory that exists is ${_up:-/}"
    fi
    return 1
  fi
  [ ! -d "$1" ] || { no refused "$1 is a directory"; return 1; }
  [ -f "$1" ] || { no refused "$1 is not a regular file (a pipe, a socket or a device)"; return 1; }
  case $(readlink -f "$1") in
    /proc/* | /sys/* | /dev/*) no refused "$1 is made up by the kernel and may have no end"; return 1 ;;
  esac
  [ -r "$1" ] || { no denied "cannot read $1: permission denied"; return 1; }
  SIZE=$(stat -Lc %s "$1")
}

# read_lines PATH OFFSET LIMIT MAX_BYTES: LIMIT lines from line OFFSET (from the end
# where it is negative), one more than asked if there is one; `lines size= total=`
read_lines() {
  _sample=8192
  [ "$SIZE" -ge 8192 ] || _sample=$SIZE
  if [ "$(head -c 8192 "$1" | tr -d '\000' | wc -c)" -lt "$_sample" ]; then
    no refused "$1 is a binary file ($SIZE bytes)"
    return
  fi
  _total=
  [ "$SIZE" -gt 8388608 ] || _total=$(wc -l <"$1")
  # a last line without its newline is a line too
  if [ -n "$_total" ] && [ "$SIZE" -gt 0 ] && [ -n "$(tail -c 1 "$1")" ]; then
    _total=$((_total + 1))
  fi
  if [ "$2" = "-$3" ]; then
    tail -n "$3" "$1" | tail -c "$4" # too much of it: then the end counts
  elif [ "$2" -lt 0 ]; then
    tail -n "${2#-}" "$1" | head -n "$3" | head -c "$4"
  else
    tail -n "+$2" "$1" | head -n "$(($3 + 1))" | head -c "$4"
  fi
  trailer "lines size=$SIZE total=$_total"
}

# piece FILE OFFSET MAX: those bytes of it; by one process where `dd` counts in bytes
piece() {
  [ -n "${DD_BYTES-}" ] ||
    DD_BYTES=$(printf abc | dd bs=9 iflag=fullblock,skip_bytes,count_bytes skip=1 count=1 2>/dev/null)
  if [ "$DD_BYTES" = b ]; then
    dd bs=65536 iflag=skip_bytes,count_bytes skip="$2" count="$3" <"$1"
  else
    DD_BYTES=no
    tail -c "+$(($2 + 1))" "$1" | head -c "$3"
  fi
}
