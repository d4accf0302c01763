#!/bin/sh
# usage: own_tree_patch.sh PLACE JOB
#
# Makes the edits that JOB ran with, as its folder has them, in the tree at PLACE.
# uses: fail refuse
set -eu

job=${SANDBOX_JOB%/*}/$2 patch=$SANDBOX_JOB/edits
if [ -f "$job/dirty.patch" ]; then
  cp "$job/dirty.patch" "$patch"
elif [ -f "$job/dirty.patch.base64" ]; then
  base64 -d <"$job/dirty.patch.base64" >"$patch"
else
  refuse "the edits of $2 are not in its folder: it is pruned, or they were too large"
fi
cd "$1"
git apply --whitespace=nowarn "$patch" >&2
rm -f "$patch"
