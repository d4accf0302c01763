#!/bin/sh
# usage: repo_access.sh URL BRANCH [PATH]
#
# Asks the git server where BRANCH stands (HEAD, if it is empty): `tip=COMMIT`, empty
# where there is no such branch. With PATH it asks as the clone there would, so that a
# secret in its URL stays out of every argument list; where commits come there without a
# git server, it answers what came last. Git's words go to standard error.
# uses: git_never_asks
set -eu

[ $# -lt 3 ] || cd "$3"
if [ $# -gt 2 ] && [ "$(git config sandbox-ops.via)" = ssh ]; then
  echo "tip=$(git rev-parse -q --verify "refs/remotes/origin/$2^{commit}" || :)"
  exit 0
fi
git_never_asks
ref=HEAD
[ -z "$2" ] || ref=refs/heads/$2
found=$(git ls-remote -- "$1" "$ref")
echo "tip=${found%%[!0-9a-f]*}"
