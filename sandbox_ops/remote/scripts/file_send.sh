#!/bin/sh
# usage: file_send.sh MARK HAVE SIZE PATH [ROOTS DENY]
#
# Prints a line MARK, then the file's bytes from HAVE to SIZE, then a line with the
# SHA-256 of all of its first SIZE bytes, taken while they are sent, and with its size
# and time of change after that: a log may grow meanwhile. What a start-up file printed before lies before the mark. A file that is not
# below one of ROOTS, where there are any, or like a pattern of DENY (one a line each) is
# not sent: its name may lead elsewhere by now, so the opened one is asked.
have=$2 size=$3 path=/proc/self/fd/8

# may_send ROOTS DENY: whether file 8 may be read
may_send() {
  [ -n "$1$2" ] || return 0
  real=$(readlink /proc/self/fd/8) || return
  IFS='
'
  set -f
  for each in $2; do
    # shellcheck disable=SC2254 # it is a pattern
    case $real in $each) return 1 ;; esac
  done
  below=$1
  for each in $1; do
    root=$(cd -P "$each" 2>/dev/null && pwd) || continue
    # what jobs wrote may be fetched too
    case $real in "${root%/}"/* | "$HOME"/.sandbox-ops/*/jobs/*) below= ;; esac
  done
  set +f
  unset IFS
  [ -z "$below" ]
}

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

command exec 8<"$4" || { # the words of the shell say why
  printf '\n%s\n' "$1"
  exit 1
}
may_send "${5-}" "${6-}" || {
  printf '\n%s denied\n' "$1"
  exit 77
}
printf '\n%s\n' "$1"
exec 3>&1
digest=$(
  whole | sum &
  send >&3 || kill $! # nobody listens any more
  wait $!
)
printf '%.64s %s\n' "$digest" "$(stat -L -c '%s %Y' /proc/self/fd/8)"
