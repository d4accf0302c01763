#!/bin/sh
# usage: files_nearest.sh PATH ROOTS DENY
#
# Prints the nearest folder above PATH that exists, then the names in it, a slash after
# each folder's; each ends in NUL. Nothing that is not to be read (see file_send.sh).
# uses: find_real is_readable
set -u
find_real "$1"
folder=${REAL%/*}
while [ -n "$folder" ] && ! [ -d "$folder" ]; do
  folder=${folder%/*}
done
REAL=${folder:-/}
is_readable "$2" "" || {
  echo "error=denied reading $1 is not allowed: $WHY"
  echo hint_code=policy
  exit 77
}
cd "${folder:-/}" || exit
printf '%s\0' "${folder:-/}"
for name in *; do
  [ -e "$name" ] || [ -L "$name" ] || continue
  REAL=$folder/$name
  is_readable "" "$3" || continue
  if [ -d "$name" ]; then printf '%s/\0' "$name"; else printf '%s\0' "$name"; fi
done
