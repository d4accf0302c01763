#!/bin/sh
# usage: file_take.sh MARK SIZE SHA-256 PATH <bytes
#
# Prints a line MARK and how many bytes of PATH have come already; takes the rest from
# standard input; where the whole has the checksum, it becomes PATH at once. Then prints
# `ok`, or `error=KIND why`. What has come lies in a folder PATH.part that only we may write
# in: a link or a pipe that somebody puts in its way gets nothing. A wrong one is removed, a
# short one stays.
mark=$1 size=$2 sum=$3 path=$4
refuse() {
  printf 'error=%s %s\n' "$1" "$2"
  exit 1
}
# start_refused KIND WHY: before the bytes are asked for
start_refused() {
  printf '\n%s\n%s\n' "$mark" "$size"
  refuse "$@"
}
case $path in /*) ;; *) path=$PWD/$path ;; esac
folder=${path%/*} name=${path##*/}
mkdir -p -- "$folder" 2>/dev/null
[ ! -d "$path" ] || start_refused refused "$path is a directory"
cd -P -- "$folder/" 2>/dev/null || start_refused denied "cannot enter $folder"
place=${PWD%/}/$name.part
mask=$(umask)
umask 077
[ -d "./$name.part" ] || rm -f -- "./$name.part" 2>/dev/null
mkdir -- "./$name.part" 2>/dev/null
cd -P -- "./$name.part" 2>/dev/null || {
  [ -w . ] || start_refused denied "cannot write in $folder"
  start_refused refused "cannot make the folder $place: is the disk full?"
}
# we are in it, whatever its name leads to by now; where that was a link, PWD tells
# shellcheck disable=SC3067 # the shells that we know have it
[ "$PWD" = "$place" ] && [ -O . ] && [ -z "$(find . -prune \( -perm -020 -o -perm -002 \))" ] ||
  start_refused denied "$place is not a folder of ours alone: remove it"
# a copy: whoever began it, and lost the link, may still write what was on its way
if [ -f data ] && cp data data.new; then
  mv -f data.new data
fi 2>/dev/null
have=$(stat -c %s data 2>/dev/null) || have=0
[ "$have" -le "$size" ] || { rm -f data && have=0; }
printf '\n%s\n%s\n' "$mark" "$have"
if ! { head -c "$((size - have))" >>data; } 2>/dev/null; then
  refuse refused "cannot write in $path.part: is the disk full?"
fi
have=$(stat -c %s data)
[ "$have" = "$size" ] || refuse connection-lost "only $have of $size bytes came"
if [ "$(sha256sum <data)" != "$sum  -" ]; then
  rm -f data
  refuse protocol "the checksum of what came is wrong"
fi
umask "$mask"
chmod "$(printf '%o' $((0666 & ~mask)))" data
# not into what became a directory meanwhile
mv -fT data "../$name" 2>/dev/null || { [ ! -d "../$name" ] && mv -f data "../$name"; } 2>/dev/null ||
  refuse denied "cannot replace $path"
cd .. && rmdir -- "./$name.part"
echo ok
