#!/bin/sh
# usage: own_tree_edits.sh CLONE PLACE
#
# Makes the edits of tracked files in CLONE in the tree at PLACE, too.
set -eu

patch=$SANDBOX_JOB/edits
git -C "$1" diff --binary --no-ext-diff --no-color HEAD >"$patch"
cd "$2"
[ ! -s "$patch" ] || git apply --whitespace=nowarn "$patch" >&2
rm -f "$patch"
