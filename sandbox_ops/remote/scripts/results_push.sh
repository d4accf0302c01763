#!/bin/sh
# usage: results_push.sh TREE BASE BRANCH MESSAGE MOST_BYTES [FROM TO]...
#
# Commits each file FROM as TO on top of BRANCH upstream, or of the commit BASE where
# there is no such branch yet, and pushes that: with an index of its own, so that the
# work tree, its index and its HEAD stay as they are. A file above MOST_BYTES is refused
# by name. Says `commit=COMMIT`, and `pushed=yes`, or `no` where it was there already.
# uses: fail refuse git_never_asks
set -eu

cd "$1"
base=$2 branch=$3 message=$4 most=$5
shift 5
git_never_asks
[ -n "$(git config --get remote.origin.url)" ] ||
  refuse "the clone at $PWD has no remote called origin"
work=$(mktemp -d "$(git rev-parse --absolute-git-dir)/sandbox-ops.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 143' HUP INT TERM
export GIT_INDEX_FILE="$work/index"

remote=refs/remotes/origin/$branch
parent=$(git rev-parse --verify "$base^{commit}")
if [ -n "$(git ls-remote origin "refs/heads/$branch")" ]; then
  git fetch -q --no-recurse-submodules origin "+refs/heads/$branch:$remote" >&2
  parent=$(git rev-parse --verify "$remote^{commit}")
fi

newline='
'
: >"$work/from"
: >"$work/to"
from=
for each; do
  case $each in *"$newline"*) refuse "a name with a line break cannot be pushed: $each" ;; esac
  if [ -z "$from" ]; then
    from=$each
  else
    [ -f "$from" ] || refuse "$from is gone"
    printf '%s\n' "$from" >>"$work/from"
    printf '%s\n' "$each" >>"$work/to"
    from=
  fi
done
git hash-object -w --no-filters --stdin-paths <"$work/from" >"$work/ids"
git cat-file --batch-check='%(objectsize)' <"$work/ids" | paste - "$work/to" >"$work/sizes"
large=$(awk -F '\t' -v most="$most" '$1 + 0 > most + 0' "$work/sizes")
if [ -n "$large" ]; then
  printf '%s\n' "$large" | sed 's/^\([0-9]*\)	\(.*\)/item=\2, \1 bytes/'
  refuse "these files are larger than $most bytes, too large for git:"
fi
git read-tree "$parent"
sed 's/^/100644 /' "$work/ids" | paste - "$work/to" | git -c core.quotePath=false update-index --index-info
tree=$(git write-tree)
if [ "$tree" = "$(git rev-parse "$parent^{tree}")" ]; then
  printf '%s\n' "commit=$parent" pushed=no
  exit 0
fi
commit=$(printf '%s\n' "$message" | git commit-tree "$tree" -p "$parent")
git push -q origin "$commit:refs/heads/$branch" >&2
git update-ref "$remote" "$commit"
printf '%s\n' "commit=$commit" pushed=yes
