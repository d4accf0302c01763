#!/bin/sh
# usage: file_take.sh MARK SIZE PATH MODE replace|new <bytes
#
# Prints a line MARK and how many bytes of PATH.part are there already; takes the rest
# from standard input; prints `sum=SHA-256` of the whole, taken meanwhile. On a line
# `take` it becomes PATH at once, on any other it is removed. Then prints `ok`, or
# `error=KIND why`. A short .part stays. With `new` no file there is replaced.
size=$2 path=$3 mode=$4 how=$5
part=$path.part
refuse() {
  printf 'error=%s %s\n' "$1" "$2"
  exit 1
}

# rest N: N bytes of the input, no more; in large blocks where dd counts in bytes
rest() {
  if dd iflag=fullblock,count_bytes count=0 </dev/null >/dev/null 2>&1; then
    dd bs=131072 iflag=fullblock,count_bytes count="$1" 2>/dev/null
  else
    head -c "$1"
  fi
}

# sum: SHA-256 of its input; OpenSSL knows the processor's own, coreutils may not
sum() {
  if openssl dgst -sha256 -r </dev/null >/dev/null 2>&1; then
    exec openssl dgst -sha256 -r
  fi
  exec sha256sum
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
{ : >>"$part"; } 2>/dev/null || refuse denied "cannot write in ${path%/*}"
exec 3>&1
digest=$(
  {
    [ "$have" = 0 ] || head -c "$have" <"$part"
    left=$((size - have)) block=67108864 # a full disk is noticed after so much
    while [ "$left" -gt 0 ]; do
      [ "$left" -gt "$block" ] || block=$left
      rest "$block" | tee -a -- "$part" 2>/dev/null || {
        printf 'error=refused cannot write %s: is the disk full?\n' "$part" >&3
        break
      }
      left=$((left - block))
    done
  } | sum
)
now=$(stat -c %s -- "$part")
[ "$now" = "$size" ] || refuse connection-lost "only $now of $size bytes came"
printf 'sum=%.64s\n' "$digest"
read -r answer
if [ "$answer" != take ]; then
  # the end of the input is a lost link: the part is whole and stays
  [ -z "$answer" ] || rm -f -- "$part"
  refuse protocol "the checksum of what came is wrong"
fi
[ "$how" = replace ] || [ ! -e "$path" ] ||
  refuse refused "$path was made meanwhile, and is not replaced"
[ "$mode" != 755 ] || chmod a+x -- "$part"
mv -f -- "$part" "$path" || refuse denied "cannot replace $path"
echo ok
