#!/bin/sh
# usage: repo_checkout.sh PATH BRANCH COMMIT BEFORE
#
# Moves the clean clone at PATH from commit BEFORE to COMMIT on BRANCH, never over a
# file that git does not know. BRANCH must have been fetched. Says `backup=REF`, where
# BEFORE is on no branch upstream any more and was kept, or empty.
# uses: fail refuse
set -eu

cd "$1"
branch=$2 commit=$3 before=$4 backup=
[ ! -e "$(git rev-parse --git-path index.lock)" ] || refuse "index.lock is held in $1"
[ "$(git rev-parse -q --verify HEAD || :)" = "$before" ] ||
  refuse "somebody moved HEAD in $1 meanwhile"

if [ -n "$before" ] &&
  [ -n "$(git rev-list --max-count=1 "$before" --not --remotes --glob=refs/sandbox-ops/dirty/*)" ]; then
  backup=refs/sandbox-ops/backup/$(date -u +%Y%m%dT%H%M%SZ)-$$
  git update-ref "$backup" "$before"
fi

if ! said=$(git -c core.quotePath=true checkout -q --no-overwrite-ignore \
  -B "$branch" "$commit" 2>&1); then
  case $said in
  *"would be overwritten"* | *"would lose untracked"*)
    tab=$(printf '\t')
    printf '%s\n' "$said" | sed -n "s/^$tab/item=/p"
    refuse "files there that are edited, or that git does not know, are in the way of incoming ones:"
    ;;
  esac
  printf '%s\n' "$said" >&2
  exit 1
fi
git branch -q "--set-upstream-to=origin/$branch" "$branch" 2>/dev/null || :
git update-ref refs/sandbox-ops/synced "$commit"
echo "backup=$backup"
