#!/bin/sh
# usage: files_sum.sh ROOTS DENY [SIZE PATH]...
#
# Prints the SHA-256 of the first SIZE bytes of each file, a line each; an empty line
# where it cannot be read, or is not to be (see file_send.sh). Files that are as long as that go to few processes, not to
# one each: there may be ten thousand; where one became a pipe, and those wait for it, they are
# ended, and each is opened by itself.
# uses: with_opened find_opened find_real is_readable stat sha256sum timeout find_sum
roots=$1 deny=$2
shift 2
find_sum
names=$SANDBOX_JOB/names
trap 'rm -f "$names" "$names".*' EXIT

one() { # SIZE PATH
  printf '%.64s\n' "$(with_opened "$2" sum_opened "$1" 2>/dev/null)"
}

sum_opened() { # SIZE, of file 8
  find_opened && is_readable "$roots" "$deny" || return 0
  # shellcheck disable=SC2086 # a command and its options
  head -c "$1" <&8 | $SUM
}

newline='
'
# plain PATH: whether tools print its name as it is, in a line
plain() {
  case $1 in *"$newline"* | *\\*) return 1 ;; esac
  [ -f "$1" ] && [ ! -h "$1" ] && [ -r "$1" ] || return 1
  find_real "$1"
  is_readable "$roots" "$deny"
}

size='' total=0
for each; do # no `shift`: it takes as long as what is left
  if [ -z "$size" ]; then
    size=$each
    continue
  fi
  total=$((total + size)) size=
  ! plain "$each" || printf '%s\0' "$each"
done >"$names"

printf '' | tee "$names.sizes" >"$names.sums" # where there is none to look at
# shellcheck disable=SC2086
if xargs -0 stat -L -c '%s' <"$names" >"$names.sizes" 2>/dev/null &&
  timeout $((3 + total / 20000000)) xargs -0 $SUM <"$names" >"$names.sums" 2>/dev/null &&
  [ "$(wc -l <"$names.sizes")" = "$(wc -l <"$names.sums")" ]; then
  many=yes
else
  many= # one of them went meanwhile
fi
exec 3<"$names.sizes" 4<"$names.sums"
for each; do
  if [ -z "$size" ]; then
    size=$each
    continue
  fi
  now=
  if [ -n "$many" ] && plain "$each"; then
    read -r now <&3
    read -r digest <&4
  fi
  if [ "$now" = "$size" ]; then
    printf '%.64s\n' "$digest"
  else
    one "$size" "$each"
  fi
  size=
done
