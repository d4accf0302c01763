#!/bin/sh
# usage: files_take.sh MARK SIZE FOLDER replace|new <archive
#
# Prints a line MARK; takes SIZE bytes of a tar archive from standard input: `files/` with
# what goes to FOLDER, and `sums`, their checksums as sha256sum has them. Once all are
# right they go to their places. With `new` no file there is replaced by another one.
# Then prints `ok`, or `error=KIND why`; nothing is left beside.
# What stands in a place is opened only as a file that has an end: a neighbour's pipe is not waited for.
# uses: has_process with_opened find_opened dd sha256sum fail take_bytes
size=$2 folder=$3 how=$4
# has_same FILE PLACE: a file of the same bytes stands there
has_same() {
  [ -f "$2" ] && [ "$(with_opened "$2" compare "$1" 2>/dev/null)" = same ]
}

# compare FILE: prints `same` where file 8 has its bytes
compare() {
  find_opened && cmp -s -- "$1" - <&8 && echo same
}

# merge FROM TO: moves what is in FROM to TO; a folder that TO lacks goes as a whole
merge() (
  from=$1 to=$2
  set --
  for each in "$from"/* "$from"/.[!.]* "$from"/..?*; do
    [ -e "$each" ] || continue
    place=$to/${each##*/}
    if [ -d "$each" ] && [ -d "$place" ]; then
      merge "$each" "$place" || exit
      continue
    elif [ -d "$each" ] && [ -e "$place" ]; then
      fail refused "$place is a file, and would be a folder"
    elif [ -d "$place" ]; then
      fail refused "$place is a folder, and would be a file"
    elif [ "$how" = new ] && [ -e "$place" ] && ! has_same "$each" "$place"; then
      fail refused "$place was made meanwhile, and is not replaced"
    fi
    set -- "$@" "$each"
  done
  [ $# = 0 ] || mv -f -- "$@" "$to/" || fail denied "cannot write in $to"
)

mkdir -p -- "$folder" 2>/dev/null
name=.sandbox-ops-put.$(uname -n)
for old in "$folder/$name".*; do # of one that was killed on this machine
  pid=${old#"$folder/$name."}
  [ ! -d "$old" ] || has_process "${pid%%.*}" || rm -rf -- "$old"
done
new=$(mktemp -d "$folder/$name.$$.XXXXXX" 2>/dev/null) || {
  printf '\n%s\n' "$1"
  fail denied "cannot write in $folder"
}
trap 'rm -rf "$new"' EXIT
trap 'exit 143' HUP INT TERM PIPE
printf '\n%s\n' "$1"
take_bytes "$size" | tar -xmof - -C "$new" >&2 ||
  fail refused "cannot unpack below $folder: is the disk full?"
cd "$new/files" || exit
sha256sum -c ../sums >/dev/null 2>&1 || fail protocol "the checksum of what came is wrong"
merge "$new/files" "$folder" || exit
cd / && rm -rf "$new"
echo ok
