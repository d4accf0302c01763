#!/bin/sh
# usage: repo_access.sh URL BRANCH [PATH]
#
# Asks the git server where BRANCH stands (HEAD, if it is empty): `tip=COMMIT`, empty
# where there is no such branch. With PATH it asks as the clone there would, so that a
# secret in its URL stays out of every argument list; where commits come there without a
# git server, it answers what came last. Git's words go to standard error.
set -eu

[ $# -lt 3 ] || cd "$3"
if [ $# -gt 2 ] && [ "$(git config sandbox-ops.via)" = ssh ]; then
  echo "tip=$(git rev-parse -q --verify "refs/remotes/origin/$2^{commit}" || :)"
  exit 0
fi
GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-$(git config core.sshCommand || echo ssh)} -o BatchMode=yes -o ConnectTimeout=20"
export GIT_SSH_COMMAND
ref=HEAD
[ -z "$2" ] || ref=refs/heads/$2
found=$(git ls-remote -- "$1" "$ref")
echo "tip=${found%%[!0-9a-f]*}"
