#!/bin/sh
# usage: file_send.sh MARK HAVE SIZE PATH [ROOTS DENY]
#
# Prints a line MARK, then the file's bytes from HAVE to SIZE, then a line with the
# SHA-256 of all of its first SIZE bytes, taken while they are sent, and with its size and time
# of change after that: a log may grow meanwhile. What a start-up file printed before lies before the mark. A file that is not
# below one of ROOTS, where there are any, or like a pattern of DENY (one a line each) is
# not sent: its name may lead elsewhere by now, so the opened one is asked.
# uses: with_opened find_opened reread print_file_facts find_real is_readable dd sha256sum stat find_sum
mark=$1 have=$2 size=$3

# whole: the first SIZE bytes; in large blocks where dd counts in bytes
whole() {
  if dd iflag=count_bytes count=0 </dev/null >/dev/null 2>&1; then
    reread dd bs=131072 iflag=count_bytes count="$size" 2>/dev/null
  else
    reread head -c "$size"
  fi
}

send() {
  if [ "$have" = 0 ]; then
    whole
  else
    reread exec tail -c "+$((have + 1))" | head -c "$((size - have))"
  fi
}

# send_opened ROOTS DENY: file 8, if it may be read
send_opened() {
  find_opened || { printf '\n%s\n' "$mark" && echo "it is not a regular file any more" >&2; return; }
  is_readable "$1" "$2" || {
    printf '\n%s denied\n' "$mark"
    return
  }
  printf '\n%s\n' "$mark"
  find_sum
  exec 3>&1
  digest=$(
    # shellcheck disable=SC2086 # a command and its options
    whole | $SUM &
    send >&3 || kill $! # nobody listens any more
    wait $!
  )
  printf '%.64s %s\n' "$digest" "$(print_file_facts '%s %Y')"
}

# answer_unopened PATH ROOTS DENY: the words of the shell say why, where it may be asked for
answer_unopened() {
  find_real "$1"
  if is_readable "$2" "$3"; then printf '\n%s\n' "$mark"; else printf '\n%s denied\n' "$mark"; fi
}

with_opened "$4" send_opened "${5-}" "${6-}" || answer_unopened "$4" "${5-}" "${6-}"
