#!/bin/sh
# usage: repo_facts.sh PATH BRANCH
#
# Says what stands at PATH: `clone=no` (nothing, or an empty folder), `clone=other`
# (something that is no clone), or `clone=yes` with `top`, `url`, `operation`, `lock`,
# and lines `status=`, `unpushed=`. Changes nothing and takes no lock.
set -eu

fail() {
  printf 'error=%s %s\n' "$1" "$(printf %s "$2" | tr '\n' ' ')"
  exit 75
}

path=$1 branch=$2 shown=1000
command -v git >/dev/null 2>&1 || fail not-found "git is not installed on the machine"
if [ ! -e "$path/.git" ]; then
  clone=no
  [ ! -e "$path" ] || [ -z "$(ls -A "$path" 2>&1)" ] || clone=other
  echo "clone=$clone"
  exit 0
fi
cd "$path" 2>/dev/null || fail denied "$path cannot be entered by $(id -un)"

# a broken .git would make git go up to a repository that is not meant
top=$(git rev-parse --show-toplevel 2>&1) || fail denied "git cannot read $path: $top"
[ "$top" = "$(pwd -P)" ] || fail refused "$path is not a clone: git takes $top for it"
folder=$(git rev-parse --absolute-git-dir)

operation=
for state in MERGE_HEAD:merge rebase-merge:rebase rebase-apply:rebase \
  CHERRY_PICK_HEAD:cherry-pick REVERT_HEAD:revert BISECT_LOG:bisect; do
  [ ! -e "$folder/${state%:*}" ] || operation=${state#*:}
done
lock=
[ ! -e "$folder/index.lock" ] || lock=$folder/index.lock

status=$(git --no-optional-locks -c core.quotePath=true status --porcelain=v2 \
  --branch --untracked-files=normal --ignore-submodules=untracked 2>&1) ||
  fail refused "git status failed in $path: $status"

# what was upstream when we brought it here is not unpushed after a forced push
set -- --not --remotes=origin
for ref in "refs/heads/$branch" HEAD; do
  git rev-parse -q --verify "$ref^{commit}" >/dev/null && set -- "$ref" "$@"
done
git rev-parse -q --verify refs/sandbox-ops/synced >/dev/null &&
  set -- "$@" refs/sandbox-ops/synced

printf '%s\n' clone=yes "top=$top" "operation=$operation" "lock=$lock" \
  "url=$(git config --get remote.origin.url || :)" \
  "status_lines=$(printf '%s\n' "$status" | wc -l | tr -d ' ')"
printf '%s\n' "$status" | sed -e 's/^/status=/' -e "${shown}q"
case $1 in
--not) ;; # no commit yet
*) git log --no-color --no-show-signature --format='unpushed=%h %s' -n 100 "$@" -- ;;
esac
