#!/bin/sh
# usage: files_list.sh hash|plain ROOT PATTERN...
#
# Prints the regular files that the patterns name below ROOT, directories whole: their
# names, NUL-ended; a line `--`; then `SIZE MTIME [SHA-256]` each, in the same order. The
# checksum is that of the first SIZE bytes: a log may grow while it is looked at.
set -u
mode=$1 root=$2
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
    find "./$path" -type f -print0
  done
done | LC_ALL=C sort -zu >"$names"
cat "$names"
printf '\n--\n'
[ -s "$names" ] || exit 0
if [ "$mode" = plain ]; then
  xargs -0 stat -c '%s %Y' <"$names"
else
  # shellcheck disable=SC2016 # for the shell that xargs starts
  xargs -0 sh -c 'for file; do
    facts=$(stat -c "%s %Y" "$file")
    sum=$(head -c "${facts% *}" "$file" | sha256sum)
    echo "$facts ${sum%% *}"
  done' sh <"$names"
fi
rm -f "$names"
