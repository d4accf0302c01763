#!/bin/sh
# usage: repo_fetch.sh PATH BRANCH COMMIT [kept]
#
# Fetches BRANCH from origin into the clone at PATH; the work tree stays as it is. Says
# `tip=COMMIT` of the branch. COMMIT, unless empty, has to be on it. With `kept`
# a clone that commits come to without a git server is taken as it is.
set -eu

cd "$1"
branch=$2 commit=$3 remote=refs/remotes/origin/$2
if [ "${4-}" = kept ] && [ "$(git config sandbox-ops.via)" = ssh ]; then
  echo "tip=$(git rev-parse --verify "$remote^{commit}")"
  exit 0
fi
if [ -z "$(git config --get remote.origin.url)" ]; then
  echo "error=refused the clone at $1 has no remote called origin"
  exit 75
fi
GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-$(git config core.sshCommand || echo ssh)} -o BatchMode=yes -o ConnectTimeout=20"
export GIT_SSH_COMMAND
git fetch -q --no-recurse-submodules origin "+refs/heads/$branch:$remote" >&2
tip=$(git rev-parse --verify "$remote^{commit}")
if [ -n "$commit" ] && [ "$commit" != "$tip" ] &&
  ! git merge-base --is-ancestor "$commit" "$tip" 2>/dev/null; then
  echo "error=refused commit $commit is not on $branch of $(git config remote.origin.url | sed 's#//[^/@]*@#//#')"
  exit 75
fi
git config --unset sandbox-ops.via || :
echo "tip=$tip"
