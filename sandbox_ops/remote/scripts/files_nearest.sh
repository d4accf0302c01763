#!/bin/sh
# usage: files_nearest.sh PATH
#
# Prints the nearest folder above PATH that exists, then the names in it, a slash after
# each folder's; each ends in NUL.
set -u
folder=${1%/*}
while [ -n "$folder" ] && ! [ -d "$folder" ]; do
  folder=${folder%/*}
done
cd "${folder:-/}" || exit
printf '%s\0' "${folder:-/}"
for name in *; do
  [ -e "$name" ] || [ -L "$name" ] || continue
  if [ -d "$name" ]; then printf '%s/\0' "$name"; else printf '%s\0' "$name"; fi
done
