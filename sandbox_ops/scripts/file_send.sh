#!/bin/sh
# usage: file_send.sh MARK HAVE SIZE PATH
#
# Prints a line MARK, then the file's bytes from HAVE to SIZE, then a line with the
# SHA-256 of all of its first SIZE bytes, taken while they are sent: a log may grow
# meanwhile. What a start-up file printed before lies before the mark.
have=$2 size=$3 path=$4

send() {
  if [ "$have" = 0 ]; then
    head -c "$size" <"$path"
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
  head -c "$size" <"$path" | sum &
  send >&3 || kill $! # nobody listens any more
  wait $!
)
printf '%.64s\n' "$digest"
