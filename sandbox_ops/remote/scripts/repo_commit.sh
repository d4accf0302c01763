#!/bin/sh
# usage: repo_commit.sh PATH COMMIT
#
# Makes sure that the clone at PATH has COMMIT, fetching it from origin if it has not; the work
# tree stays as it is. Says `commit=`.
set -eu

cd "$1"
commit=$2
has_commit() { git cat-file -e "$commit^{commit}" 2>/dev/null; }

GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-$(git config core.sshCommand || echo ssh)} -o BatchMode=yes -o ConnectTimeout=20"
export GIT_SSH_COMMAND
has_commit || git fetch -q --no-recurse-submodules origin >&2 || :
# a branch that is gone upstream may have left its commits there
has_commit || git fetch -q --no-recurse-submodules origin "$commit" >&2 || :
if ! has_commit; then
  echo "error=refused commit $commit is neither in the clone at $1 nor can it be fetched from its remote"
  exit 75
fi
echo "commit=$commit"
