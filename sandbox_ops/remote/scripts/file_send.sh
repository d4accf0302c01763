#!/bin/sh
# usage: file_send.sh MARK HAVE SIZE PATH
#
# Prints a line MARK, then the file's bytes from HAVE to SIZE, then a line with the
# SHA-256 of all of its first SIZE bytes, taken while they are sent: a log may grow
# meanwhile. What a start-up file printed before lies before the mark.
have=$2 size=$3 path=$4

# whole: the first SIZE bytes; in large blocks where dd counts in bytes
whole() {
  if dd iflag=count_bytes count=0 </dev/null >/dev/null 2>&1; then
    dd bs=131072 iflag=count_bytes count="$size" <"$path" 2>/dev/null
  else
    head -c "$size" <"$path"
  fi
}

send() {
  if [ "$have" = 0 ]; then
    whole
  else
    tail -c "+$((have + 1))" <"$path" | head -c "$((size - have))"
  fi
}

# sum: SHA-256 of its input; OpenSSL knows the processor's own, coreutils may not
sum() {
  if openssl dgst -sha256 -r </dev/null >/dev/null 2>&1; then
    exec openssl dgst -sha256 -r
  fi
  exec sha256sum
}

printf '\n%s\n' "$1"
exec 3>&1
digest=$(
  whole | sum &
  send >&3 || kill $! # nobody listens any more
  wait $!
)
printf '%.64s\n' "$digest"
