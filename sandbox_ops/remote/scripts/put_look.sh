#!/bin/sh
# usage: put_look.sh PATH file|folder
#
# Says what stands at PATH, where a file or a folder is to go: `kind=none`, `file`,
# `folder` or `other`; how much room there is: `free_bytes`, `free_files` (empty where that is not counted); `tar=yes|no`; and where
# PATH would lie in a work tree of git: `tree=FOLDER`, `ignored=yes|no`, and a line
# `tracked=NAME` for each tracked file at or below PATH, as git quotes it. Changes nothing.
# uses: stat fail refuse
path=$1 as=$2
kind=other
if [ -d "$path" ]; then
  kind=folder
elif [ -f "$path" ]; then
  kind='file'
elif [ ! -e "$path" ] && [ ! -L "$path" ]; then
  kind=none
fi
folder=$path
while [ -n "$folder" ] && [ ! -d "$folder" ]; do
  [ ! -e "$folder" ] || [ "$folder" = "$path" ] || refuse "$folder is a file, and would be a folder"
  folder=${folder%/*}
done
folder=${folder:-/}
tar=no
command -v tar >/dev/null 2>&1 && tar=yes
# shellcheck disable=SC2046 # three numbers
set -- $(stat -f -c '%a %S %d' -- "$folder")
free=${1:-0} block=${2:-0} files=${3:-}
[ "$files" != 0 ] || files= # btrfs and the like do not count
echo "kind=$kind
folder=$folder
writable=$([ -w "$folder" ] && echo yes || echo no)
free_bytes=$((free * block))
free_files=$files
tar=$tar"
cd "$folder" && command -v git >/dev/null 2>&1 || exit 0
tree=$(git rev-parse --show-toplevel 2>/dev/null) || exit 0
[ -n "$tree" ] || exit 0
real=$(pwd -P)${path#"$folder"}
[ "$as" = file ] || real=$real/ # a pattern may be about folders alone
ignored=no
git check-ignore -q -- "$real" 2>/dev/null && ignored=yes
printf '%s\n' "tree=$tree" "ignored=$ignored"
git -c core.quotePath=true ls-files -- "$real" 2>/dev/null | sed 's/^/tracked=/'
