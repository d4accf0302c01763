#!/bin/sh
# usage: repo_fetch.sh PATH BRANCH COMMIT [kept]
#
# Fetches BRANCH from origin into the clone at PATH; the work tree stays as it is. Says
# `tip=COMMIT` of the branch. COMMIT, unless empty, has to be on it. With `kept`
# a clone that commits come to without a git server is taken as it is.
# uses: git_never_asks fail refuse
set -eu

cd "$1"
branch=$2 commit=$3 remote=refs/remotes/origin/$2
if [ "${4-}" = kept ] && [ "$(git config sandbox-ops.via)" = ssh ]; then
  echo "tip=$(git rev-parse --verify "$remote^{commit}")"
  exit 0
fi
[ -n "$(git config --get remote.origin.url)" ] ||
  refuse "the clone at $1 has no remote called origin"
git_never_asks
git fetch -q --no-recurse-submodules origin "+refs/heads/$branch:$remote" >&2
tip=$(git rev-parse --verify "$remote^{commit}")
if [ -n "$commit" ] && [ "$commit" != "$tip" ] &&
  ! git merge-base --is-ancestor "$commit" "$tip" 2>/dev/null; then
  refuse "commit $commit is not on $branch of $(git config remote.origin.url | sed 's#//[^/@]*@#//#')"
fi
git config --unset sandbox-ops.via || :
echo "tip=$tip"
