#!/bin/sh
# usage: repo_submodules.sh PATH
#
# Says `submodule=NAME` for each one that is checked out below PATH, outer ones first.
set -eu
cd "$1"
[ -f .gitmodules ] || exit 0
# shellcheck disable=SC2016 # git's own variable
git submodule --quiet foreach --recursive 'printf "submodule=%s\n" "$displaypath"'
