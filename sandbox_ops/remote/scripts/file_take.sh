#!/bin/sh
# usage: file_take.sh MARK SIZE PATH MODE replace|new <bytes
#
# Prints a line MARK and how many bytes of PATH have come already; takes the rest
# from standard input; prints `sum=SHA-256` of the whole, taken meanwhile. On a line
# `take` it becomes PATH at once, on any other it is removed. Then prints `ok`, or
# `error=KIND why`. What has come lies in a folder PATH.part that only we may write in: a link or a
# pipe that somebody puts in its way gets nothing. A short one stays. With `new` no file there is
# replaced.
# uses: dd sha256sum stat fail take_bytes find_sum
mark=$1 size=$2 path=$3 mode=$4 how=$5 part=data
# start_refused KIND WHY: before the bytes are asked for
start_refused() {
  printf '\n%s\n%s\n' "$mark" "$size"
  fail "$@"
}
case $path in /*) ;; *) path=$PWD/$path ;; esac
folder=${path%/*} name=${path##*/}
mkdir -p -- "$folder" 2>/dev/null
[ ! -d "$path" ] || start_refused refused "$path is a directory"
cd -P -- "$folder/" 2>/dev/null || start_refused denied "cannot write in $folder"
place=${PWD%/}/$name.part
mask=$(umask)
umask 077
[ -d "./$name.part" ] || rm -f -- "./$name.part" 2>/dev/null
mkdir -- "./$name.part" 2>/dev/null
cd -P -- "./$name.part" 2>/dev/null || {
  [ -w . ] || start_refused denied "cannot write in $folder"
  start_refused refused "cannot write $place: is the disk full?"
}
# we are in it, whatever its name leads to by now; where that was a link, PWD tells
# shellcheck disable=SC3067 # the shells that we know have it
[ "$PWD" = "$place" ] && [ -O . ] && [ -z "$(find . -prune \( -perm -020 -o -perm -002 \))" ] ||
  start_refused denied "$place is not a folder of ours alone: remove it"
# a copy: whoever began it, and lost the link, may still write what was on its way
if [ -f "$part" ] && cp -- "$part" "$part.new"; then
  mv -f -- "$part.new" "$part"
fi 2>/dev/null
have=$(stat -c %s -- "$part" 2>/dev/null) || have=0
[ "$have" -le "$size" ] || { rm -f -- "$part" && have=0; }
printf '\n%s\n%s\n' "$mark" "$have"
{ : >>"$part"; } 2>/dev/null || fail denied "cannot write in ${path%/*}"
exec 3>&1
find_sum
# shellcheck disable=SC2086 # a command and its options
digest=$(
  {
    [ "$have" = 0 ] || head -c "$have" <"$part"
    left=$((size - have)) block=67108864 # a full disk is noticed after so much
    while [ "$left" -gt 0 ]; do
      [ "$left" -gt "$block" ] || block=$left
      take_bytes "$block" | tee -a -- "$part" 2>/dev/null || {
        printf 'error=refused cannot write %s: is the disk full?\n' "$place" >&3
        break
      }
      left=$((left - block))
    done
  } | $SUM
)
now=$(stat -c %s -- "$part")
[ "$now" = "$size" ] || fail connection-lost "only $now of $size bytes came"
printf 'sum=%.64s\n' "$digest"
read -r answer
if [ "$answer" != take ]; then
  # the end of the input is a lost link: the part is whole and stays
  [ -z "$answer" ] || rm -f -- "$part"
  fail protocol "the checksum of what came is wrong"
fi
[ "$how" = replace ] || [ ! -e "$path" ] ||
  fail refused "$path was made meanwhile, and is not replaced"
umask "$mask"
chmod "$(printf '%o' $((0666 & ~mask)))" "$part"
[ "$mode" != 755 ] || chmod a+x -- "$part"
# not into what became a directory meanwhile
mv -fT "$part" "../$name" 2>/dev/null || { [ ! -d "../$name" ] && mv -f "$part" "../$name"; } 2>/dev/null ||
  fail denied "cannot replace $path"
cd .. && rmdir -- "./$name.part"
echo ok
