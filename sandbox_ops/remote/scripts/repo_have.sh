#!/bin/sh
# usage: repo_have.sh PATH
#
# Says `have=COMMIT` for what the newest refs of the clone at PATH lead to, and HEAD.
set -eu
cd "$1"
{
  git rev-parse -q --verify 'HEAD^{commit}' || :
  git for-each-ref --count=500 --sort=-creatordate --format='%(objectname) %(objecttype)' |
    sed -n 's/ commit$//p'
} | sort -u | sed 's/^/have=/'
