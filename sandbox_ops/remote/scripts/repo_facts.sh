#!/bin/sh
# usage: repo_facts.sh PATH BRANCH
#
# Says what stands at PATH: `clone=no` (nothing, or an empty folder), `clone=other`
# (something that is no clone), or `clone=yes` with `top`, `url`, `operation`, `lock`,
# and lines `status=`, `unpushed=`. Changes nothing and takes no lock.
# uses: fail
set -eu

path=$1 branch=$2 shown=1000
if ! command -v git >/dev/null 2>&1; then
  echo hint_code=install-git
  fail not-found "git is not installed on the machine"
fi
if [ ! -e "$path/.git" ]; then
  clone=no
  if [ -e "$path" ]; then
    { names=$(ls -A "$path") && [ -z "$names" ]; } || clone=other
  fi
  echo "clone=$clone"
  exit 0
fi
cd "$path" 2>/dev/null || fail denied "$path cannot be entered by $(id -un)"

# a broken .git would make git go up to a repository that is not meant
top=$(git rev-parse --show-toplevel) ||
  fail denied "git cannot read $path: $(git rev-parse --show-toplevel 2>&1 >/dev/null)"
[ "$top" = "$(pwd -P)" ] || fail refused "$path is not a clone: git takes $top for it"
folder=$(git rev-parse --absolute-git-dir)

operation=
for state in MERGE_HEAD:merge rebase-merge:rebase rebase-apply:rebase \
  CHERRY_PICK_HEAD:cherry-pick REVERT_HEAD:revert BISECT_LOG:bisect; do
  [ ! -e "$folder/${state%:*}" ] || operation=${state#*:}
done
lock=
[ ! -e "$folder/index.lock" ] || lock=$folder/index.lock

status() { # what programs print on stderr beside is no answer of git's
  git --no-optional-locks -c core.quotePath=true status --porcelain=v2 \
    --branch --untracked-files=normal --ignore-submodules=untracked
}
status=$(status) || fail refused "git status failed in $path: $(status 2>&1 >/dev/null)"

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
