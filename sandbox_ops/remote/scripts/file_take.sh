#!/bin/sh
# usage: file_take.sh MARK SIZE SHA-256 PATH <bytes
#
# Prints a line MARK and how many bytes of PATH.part are there already; takes the rest
# from standard input; where the whole has the checksum, it becomes PATH at once. Then
# prints `ok`, or `error=KIND why`. A wrong .part is removed, a short one stays.
size=$2 sum=$3 path=$4
part=$path.part
refuse() {
  printf 'error=%s %s\n' "$1" "$2"
  exit 1
}
case $path in */*) mkdir -p -- "${path%/*}" 2>/dev/null ;; esac
# a copy: whoever began it, and lost the link, may still write what was on its way
if [ -f "$part" ] && cp -- "$part" "$part.new"; then
  mv -f -- "$part.new" "$part"
fi 2>/dev/null
have=$(stat -c %s -- "$part" 2>/dev/null) || have=0
[ "$have" -le "$size" ] || { rm -f -- "$part" && have=0; }
printf '\n%s\n%s\n' "$1" "$have"
[ ! -d "$path" ] || refuse refused "$path is a directory"
if ! { head -c "$((size - have))" >>"$part"; } 2>/dev/null; then
  [ -w "${path%/*}" ] || refuse denied "cannot write in ${path%/*}"
  refuse refused "cannot write $part: is the disk full?"
fi
have=$(stat -c %s -- "$part")
[ "$have" = "$size" ] || refuse connection-lost "only $have of $size bytes came"
if [ "$(sha256sum <"$part")" != "$sum  -" ]; then
  rm -f -- "$part"
  refuse protocol "the checksum of what came is wrong"
fi
mv -f -- "$part" "$path" || refuse denied "cannot replace $path"
echo ok
