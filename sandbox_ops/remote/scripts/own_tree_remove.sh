#!/bin/sh
# usage: own_tree_remove.sh CLONE PLACE
#
# Removes a tree that no run came to use: nothing was written in it yet.
set -eu

case $2 in */.sandbox-ops/trees/*) ;; *) exit 1 ;; esac
rm -rf "$2"
git -C "$1" worktree prune
rm -f "${SANDBOX_JOB%/jobs/*}/trees/${2##*/}"
