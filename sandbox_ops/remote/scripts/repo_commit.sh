#!/bin/sh
# usage: repo_commit.sh PATH COMMIT
#
# Makes sure that the clone at PATH has COMMIT, fetching it from origin if it has not; the work
# tree stays as it is. Says `commit=`.
# uses: git_never_asks fail refuse
set -eu

cd "$1"
commit=$2
has_commit() { git cat-file -e "$commit^{commit}" 2>/dev/null; }

git_never_asks
has_commit || git fetch -q --no-recurse-submodules origin >&2 || :
# a branch that is gone upstream may have left its commits there
has_commit || git fetch -q --no-recurse-submodules origin "$commit" >&2 || :
has_commit || refuse "commit $commit is neither in the clone at $1 nor can it be fetched from its remote"
echo "commit=$commit"
