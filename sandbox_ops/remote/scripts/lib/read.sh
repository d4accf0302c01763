# shellcheck shell=sh
# Reading files: what can be read is decided here, in one place, before a byte is.

# do_read PATH OFFSET LIMIT MAX_BYTES FROM ROOTS DENY: LIMIT lines from line OFFSET (from the end
# where it is negative), one more than asked if there is one; from byte FROM on, where it
# is known. `lines size= inode= total= at=`, the last where in bytes they begin, if known
do_read() {
  check_named "$1" "${6-}" "${7-}" || return
  [ "$2" -lt 2 ] || can_skip_lines # here, where it is remembered
  with_opened "$1" read_opened "$@" || answer_unopened "$1"
}

# read_opened ...: the same of file 8, which was opened by that name
read_opened() {
  check_opened "$1" "${6-}" "${7-}" || return
  if [ -z "$5" ] && reread exec head -c 8192 | tr -dc '\000' | grep -q ''; then
    answer_error "refused binary" "$1 is a binary file ($SIZE bytes)"
    [ -z "$COPY" ] || rm -f "$COPY"
    return
  fi
  _total='' _at=''
  [ "$SIZE" -gt 8388608 ] || _total=$(($(reread exec wc -l)))
  # a last line without its newline is a line too
  if [ -n "$_total" ] && [ "$SIZE" -gt 0 ] && [ -n "$(reread exec tail -c 1)" ]; then
    _total=$((_total + 1))
  fi
  if [ "$2" = "-$3" ]; then
    reread exec tail -n "$3" | tail -c "$4" # too much of it: then the end counts
  elif [ "$2" -lt 0 ]; then
    reread exec tail -n "${2#-}" | head -n "$3" | head -c "$4"
  elif [ -n "$5" ]; then
    _at=$5
    reread exec tail -c "+$(($5 + 1))" | head -n "$(($3 + 1))" | head -c "$4"
  else
    reread send_from_line "$2" "$3" "$4"
  fi
  trailer "lines size=$SIZE inode=$INODE total=$_total at=$_at"
  [ -z "$COPY" ] || rm -f "$COPY"
}

# send_from_line OFFSET LIMIT MAX_BYTES: lines of stdin; _at = where they begin, if known.
# GNU grep leaves a file where the last line that it counted ends, as soon as `tail`.
send_from_line() {
  exec 3<&0
  if [ "$1" -lt 2 ]; then
    _at=0
  elif can_skip_lines; then
    _n=$(skip_lines "$(($1 - 1))" <&3)
    read_offset
    _at=$OFFSET
  else
    tail -n "+$1" <&3 | head -n "$(($2 + 1))" | head -c "$3"
    return
  fi
  head -n "$(($2 + 1))" <&3 | head -c "$3"
}

# skip_lines LINES: move the offset of stdin so many lines on. No line has what is searched for
# (`^` in its middle), so that grep does no more than to count newlines.
skip_lines() {
  LC_ALL=C grep -aEvc -m "$1" 'a line begins after me:^'
}

# can_skip_lines: whether `skip_lines` does so here (tried once, on our library)
can_skip_lines() {
  if [ -z "${SKIPS-}" ]; then
    SKIPS=no _line='' OFFSET=''
    IFS= read -r _line <"$LIBRARY"
    { _n=$(skip_lines 1 <&3) && read_offset; } 3<"$LIBRARY"
    [ "$_n.$OFFSET" != "1.$((${#_line} + 1))" ] || SKIPS=yes
  fi
  [ "$SKIPS" = yes ]
}

# do_bytes PATH OFFSET MAX ROOTS DENY: `bytes offset= size= inode=`; a negative OFFSET counts from the end
do_bytes() {
  check_named "$1" "${4-}" "${5-}" || return
  counts_bytes || :
  with_opened "$1" send_opened "$@" || answer_unopened "$1"
}

# do_stat PATH ROOTS DENY: type and mode in hex, size, owner, mtime; where a link leads. Of the
# link itself, not of what it leads to.
do_stat() {
  check_policy "$1" "$2" "$3" || return
  if stat -c '%f %s %u %Y' "$1"; then
    readlink "$1"
    trailer stat
  elif [ -x "${1%/*}/" ]; then
    answer_error not-found "no such file: $1"
  else
    answer_error denied "cannot look into ${1%/*}/: it is not there, or permission is denied"
  fi
}

# check_policy PATH ROOTS DENY: whether it may be asked for by that name: what is not to be read
# is not said to be there, either. What a link leads to counts where it is followed.
check_policy() {
  case $1 in /*) ;; *) answer_error refused "the path must be absolute: $1"; return 1 ;; esac
  [ -n "$2$3" ] || return 0
  find_real "$1"
  [ -z "${4-}" ] || [ ! -h "$1" ] || REAL=$(readlink -f "$1") || REAL=
  may_read "$@"
}

# answer_unopened PATH: it was a file when it was checked
answer_unopened() {
  answer_error refused "$1 cannot be opened: it was replaced meanwhile, or does not answer"
}

# send_opened ...: the same of file 8, which was opened by that name
send_opened() {
  check_opened "$1" "${4-}" "${5-}" || return
  _from=$2
  [ "$_from" -ge 0 ] || _from=$((SIZE + _from))
  [ "$_from" -ge 0 ] || _from=0
  reread send_range "$_from" "$3"
  trailer "bytes offset=$_from size=$SIZE inode=$INODE"
  [ -z "$COPY" ] || rm -f "$COPY"
}

# check_named PATH ROOTS DENY: what can be known before it is opened; says why it cannot be read
check_named() {
  check_policy "$@" followed || return
  if [ ! -e "$1" ]; then
    _up=$1
    while [ -n "$_up" ] && [ ! -d "$_up" ]; do _up=${_up%/*}; done
    if [ -h "$1" ]; then
      answer_error not-found "$1 is a symbolic link to nothing"
    elif [ ! -x "${_up:-/}" ]; then
      answer_error denied "cannot look into ${_up:-/}: permission denied"
    else
      answer_error not-found "no such file: $1
the nearest directory that exists is ${_up:-/}"
    fi
    return 1
  fi
  [ ! -d "$1" ] || { answer_error "refused directory" "$1 is a directory"; return 1; }
  [ -f "$1" ] || { answer_error refused "$1 is not a regular file (a pipe, a socket or a device)"; return 1; }
  [ -r "$1" ] || { answer_error denied "cannot read $1: permission denied"; return 1; }
}

# check_opened PATH ROOTS DENY: whether file 8 is one that may be read and has an end; says
# why not. Its name may mean another file by now: what was opened is asked. SIZE INODE. FILE
# = what is to be read: file 8, or COPY, if there is one
check_opened() {
  COPY=
  find_opened || { answer_error refused "$1 is not a regular file any more"; return 1; }
  may_read "$1" "$2" "$3" || return
  case $REAL in
    /dev/shm/*) ;; # memory, but files like others
    /proc/* | /sys/*) kernel_file "$1" || return 1 ;;
    /dev/*) answer_error refused "$1 is made up by the kernel and may have no end"; return 1 ;;
  esac
  INODE=$(print_file_facts '%i %s')
  SIZE=${INODE#* } INODE=${INODE% *}
}

# may_read PATH ROOTS DENY: whether the user lets REAL be read; says why not
may_read() {
  is_readable "$2" "$3" && return 0
  answer_error "denied policy" "reading $1${REAL:+, which is $REAL,} is not allowed: $WHY"
  return 1
}

# kernel_file PATH: a file that the kernel makes up has no size: it is read to its end,
# within a second and a megabyte, and what was read is shown, from a copy
kernel_file() {
  # shellcheck disable=SC2034 # for `reread`
  FILE=$BASE/read.$$ COPY=$BASE/read.$$
  timeout 1 head -c 1048577 <&8 >"$COPY"
  case $?.$(wc -c <"$COPY" | tr -d ' ') in
    124.* | 137.* | 143.*) answer_error refused "$1 is made up by the kernel, and did not end within a second" ;;
    *.1048577) answer_error refused "$1 is made up by the kernel, and longer than 1 MiB: it may have no end" ;;
    0.*) return 0 ;;
    *) answer_error denied "cannot read $1: the kernel refuses it" ;;
  esac
  rm -f "$COPY"
  return 1
}

# send_range OFFSET MAX: those bytes of stdin; by one process where `dd` counts in bytes
send_range() {
  if counts_bytes; then
    dd bs=65536 iflag=skip_bytes,count_bytes skip="$1" count="$2"
  else
    tail -c "+$(($1 + 1))" | head -c "$2"
  fi
}

# counts_bytes: whether `dd` does (tried once)
counts_bytes() {
  [ -n "${DD_BYTES-}" ] ||
    DD_BYTES=$(printf abc | dd bs=9 iflag=fullblock,skip_bytes,count_bytes skip=1 count=1 2>/dev/null)
  DD_BYTES=${DD_BYTES:-no}
  [ "$DD_BYTES" = b ]
}
