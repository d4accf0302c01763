#!/bin/sh
# usage: repo_fetch.sh PATH BRANCH COMMIT
#
# Fetches BRANCH from origin into the clone at PATH; the work tree stays as it is. Says
# `tip=COMMIT` of the branch. COMMIT, unless empty, has to be on it.
set -eu

cd "$1"
branch=$2 commit=$3
if [ -z "$(git config --get remote.origin.url)" ]; then
  echo "error=refused the clone at $1 has no remote called origin"
  exit 75
fi
GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-$(git config core.sshCommand || echo ssh)} -o BatchMode=yes -o ConnectTimeout=20"
export GIT_SSH_COMMAND
remote=refs/remotes/origin/$branch
git fetch -q --no-recurse-submodules origin "+refs/heads/$branch:$remote" >&2
tip=$(git rev-parse --verify "$remote^{commit}")
if [ -n "$commit" ] && [ "$commit" != "$tip" ] &&
  ! git merge-base --is-ancestor "$commit" "$tip" 2>/dev/null; then
  echo "error=refused commit $commit is not on $branch of $(git config remote.origin.url | sed 's#//[^/@]*@#//#')"
  exit 75
fi
echo "tip=$tip"
