#!/bin/sh
# usage: repo_access.sh URL BRANCH [PATH]
#
# Asks the git server where BRANCH stands (HEAD, if it is empty): `tip=COMMIT`, empty
# where there is no such branch. With PATH it asks as the clone there would, so that a
# secret in its URL stays out of every argument list. Git's words go to standard error.
set -eu

[ $# -lt 3 ] || cd "$3"
GIT_SSH_COMMAND="${GIT_SSH_COMMAND:-$(git config core.sshCommand || echo ssh)} -o BatchMode=yes -o ConnectTimeout=20"
export GIT_SSH_COMMAND
ref=HEAD
[ -z "$2" ] || ref=refs/heads/$2
found=$(git ls-remote -- "$1" "$ref")
echo "tip=${found%%[!0-9a-f]*}"
