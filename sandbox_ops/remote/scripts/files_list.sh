#!/bin/sh
# usage: files_list.sh ROOT SINCE PATTERN...
#
# Prints the regular files that the patterns name below ROOT, directories whole, and where SINCE
# names a file those alone that changed after it: their names, NUL-ended; a line `--`; then `SIZE MTIME` each, in the same order.
set -u
root=$1 since=$2
shift 2
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
    if [ -n "$since" ]; then
      find "./$path" -type f -newer "$since" -print0
    else
      find "./$path" -type f -print0
    fi
  done
done | LC_ALL=C sort -zu >"$names"
cat "$names"
printf '\n--\n'
[ ! -s "$names" ] || xargs -0 stat -c '%s %Y' <"$names"
rm -f "$names"
