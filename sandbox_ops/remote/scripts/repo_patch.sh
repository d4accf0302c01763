#!/bin/sh
# usage: repo_patch.sh PATH
#
# Prints what would make the commit at PATH into its work tree: `git apply` takes it.
set -eu
cd "$1"
git --no-optional-locks diff --no-color --no-ext-diff --no-textconv --binary HEAD --
