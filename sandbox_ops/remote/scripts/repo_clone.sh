#!/bin/sh
# usage: repo_clone.sh PATH URL BRANCH [BUNDLE]
#
# Clones BRANCH of URL to PATH, which appears only when it is complete. With BRANCH
# empty it is the one that the server says. With BUNDLE its commits come from that file,
# which is removed, and URL is only noted. Says `head=COMMIT`.
# uses: stat git_never_asks fail
set -eu

path=$1 url=$2 branch=$3 bundle=${4-} least_kib=102400
user=$(id -un 2>/dev/null) || user="uid $(id -u)" # a container's may have no name
workspace=${path%/*}
workspace=${workspace:-/}
if ! command -v git >/dev/null 2>&1; then
  echo hint_code=install-git
  fail not-found "git is not installed on the machine"
fi
mkdir -p "$workspace" || {
  echo hint_code=make-workspace
  fail denied "$user cannot create the workspace $workspace: $(mkdir -p "$workspace" 2>&1 | sed -n '$s/.*: //p')"
}
if [ ! -w "$workspace" ] || [ ! -x "$workspace" ]; then
  echo hint_code=own-workspace
  fail denied "$user cannot write to the workspace $workspace"
fi
free_kib=$(($(stat -f -c '%a * %S' "$workspace") / 1024))
if [ "$free_kib" -lt "$least_kib" ]; then
  echo hint_code=make-room
  fail refused "only $((free_kib / 1024)) MiB are free at $workspace"
fi

git_never_asks
new=$(mktemp -d "$workspace/.sandbox-ops-clone.XXXXXX")
trap 'rm -rf "$new"; rm -f "$bundle"' EXIT
trap 'exit 143' HUP INT TERM
chmod 755 "$new"
if [ -n "$bundle" ]; then
  remote=refs/remotes/origin/$branch
  git init -q "$new/clone" >&2
  cd "$new/clone"
  git remote add -- origin "$url"
  git fetch -q --no-tags "$bundle" "+refs/heads/$branch:$remote" >&2
  git checkout -q --track -B "$branch" "$remote" >&2
  git config sandbox-ops.via ssh
  cd /
else
  set -- clone -q
  [ -z "$branch" ] || set -- "$@" --branch "$branch"
  git "$@" -- "$url" "$new/clone" >&2
fi
head=$(git -C "$new/clone" rev-parse -q --verify HEAD) ||
  fail refused "the repository $url has no commit yet"
git -C "$new/clone" update-ref refs/sandbox-ops/synced "$head"

[ ! -d "$path" ] || rmdir "$path" 2>/dev/null || fail refused "$path was made meanwhile"
mv "$new/clone" "$path"
echo "head=$head"
