#!/bin/sh
# usage: files_list.sh ROOT PATTERN...
#
# Prints the regular files that the patterns name below ROOT, directories whole: their
# names, NUL-ended; a line `--`; then `SIZE MTIME` each, in the same order.
set -u
root=$1
shift
cd "$root" 2>/dev/null || {
  echo "error=not-found no such directory: $root"
  exit 66
}
names=$SANDBOX_JOB/names
for pattern; do
  IFS= # unquoted below: the pattern may hold * and ?, its blanks are its own
  for path in $pattern; do
    [ -e "$path" ] || continue
    case $path in /* | ../* | */../* | */..) continue ;; esac
    find "./$path" -type f -print0
  done
done | LC_ALL=C sort -zu >"$names"
cat "$names"
printf '\n--\n'
[ ! -s "$names" ] || xargs -0 stat -c '%s %Y' <"$names"
rm -f "$names"
