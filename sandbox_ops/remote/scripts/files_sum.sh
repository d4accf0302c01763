#!/bin/sh
# usage: files_sum.sh ROOTS DENY [SIZE PATH]...
#
# Prints the SHA-256 of the first SIZE bytes of each file, a line each; an empty line
# where it cannot be read, or is not to be (see file_send.sh).
# uses: lib/opened.sh
if openssl dgst -sha256 -r </dev/null >/dev/null 2>&1; then
  sum='openssl dgst -sha256 -r' # knows the processor's own, coreutils may not
else
  sum=sha256sum
fi

# sum_opened SIZE ROOTS DENY: of file 8
sum_opened() {
  find_opened && is_readable "$2" "$3" || return 0
  # shellcheck disable=SC2086 # a command and its options
  head -c "$1" <&8 | $sum
}

roots=$1 deny=$2
shift 2
while [ $# -gt 1 ]; do
  printf '%.64s\n' "$(with_opened "$2" sum_opened "$1" "$roots" "$deny" 2>/dev/null)"
  shift 2
done
