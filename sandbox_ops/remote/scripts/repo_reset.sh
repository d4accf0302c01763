#!/bin/sh
# usage: repo_reset.sh PATH BRANCH COMMIT [KEEP...]
#
# Makes the work tree at PATH what COMMIT says, on the fetched BRANCH; with BRANCH empty
# (a submodule) HEAD stays where it is. Whatever that could lose is rescued first, to
# refs/sandbox-ops/backup/TIME-N, and the rescue is verified; without one nothing is
# touched. Its tree is the work tree with untracked files, byte for byte; its parents are
# HEAD, the index, and what else was under way. Ignored files stay, and so do those
# under KEEP: untracked ones where they are, tracked ones with the content they have.
# Says `backup=REF`, empty where there was nothing to rescue.
# uses: fail refuse
set -eu

cd "$1"
branch=$2 backup='' magic=':(top,exclude,glob)'
commit=$(git rev-parse --verify "$3^{commit}")
shift 3
export LC_ALL=C
export GIT_AUTHOR_NAME=sandbox-ops GIT_AUTHOR_EMAIL=sandbox-ops@localhost
export GIT_COMMITTER_NAME=sandbox-ops GIT_COMMITTER_EMAIL=sandbox-ops@localhost
folder=$(git rev-parse --absolute-git-dir)
[ ! -e "$folder/index.lock" ] || refuse "$folder/index.lock is held"
head=$(git rev-parse -q --verify HEAD || :)
base=${head:-$(git hash-object -t tree --stdin </dev/null)}
tab=$(printf '\t')
work=$(mktemp -d "$folder/sandbox-ops.XXXXXX")
trap 'put_back; rm -rf "$work"' EXIT
trap 'exit 143' HUP INT TERM

set_aside() { # the edited files of these pathspecs; the reset would put the old ones back
  mkdir "$work/kept"
  # shellcheck disable=SC2016 # here and below: of the inner sh
  quoted diff-index --name-only --diff-filter=M -z "$base" -- "$@" | kept=$work/kept xargs -0 sh -c '
    for file; do
      [ -f "$file" ] && [ ! -L "$file" ] || continue
      place=$kept/$file
      mkdir -p "${place%/*}"
      mv -- "$file" "$place"
    done' sh
}
put_back() {
  [ -d "$work/kept" ] || return 0
  top=$PWD
  cd "$work/kept"
  # shellcheck disable=SC2016
  find . -type f -print0 | top=$top xargs -0 sh -c '
    for file; do
      place=$top/$file
      mkdir -p "${place%/*}"
      mv -f -- "$file" "$place"
    done' sh
  cd "$top"
  rm -rf "$work/kept"
}
quoted() { # git, with names one a line whatever they hold
  git -c core.quotePath=true -c core.safecrlf=false -c advice.addEmbeddedRepo=false "$@"
}
rescuing() { # the same, on the index that becomes the rescue's tree
  GIT_INDEX_FILE=$work/tree quoted "$@"
}

# The index, as a tree; of a file in conflict, our side.
for copy in index tree; do # with its time, by which git knows what may have changed
  [ ! -e "$folder/index" ] || cp -p "$folder/index" "$work/$copy"
done
quoted ls-files -u >"$work/unmerged"
{
  sed "s/ [123]$tab/ 0$tab/" "$work/unmerged"
  sed -n "s/ 2$tab/ 0$tab/p" "$work/unmerged"
} | GIT_INDEX_FILE=$work/index git update-index --index-info
index_tree=$(GIT_INDEX_FILE=$work/index git write-tree)

# The work tree: edits, untracked files, and of the ignored and kept ones those that
# COMMIT has a file for.
for name; do
  set -- "$@" "$magic$name"
  shift
done
rescuing add -u -- . >&2
# not `add -A`: it fails where an excluded path is ignored as well
quoted ls-files -o --exclude-standard -- . "$@" >"$work/untracked"
sed 's,/$,,' "$work/untracked" | rescuing update-index --add --stdin >&2
{
  quoted ls-files -o
  quoted ls-tree -r --name-only "$commit"
} | sort | uniq -d >"$work/covered" # in both; no `comm` in Debian's busybox
rescuing update-index --add --stdin <"$work/covered"

# Its files again as bytes: `add` put them through the filters of .gitattributes.
{
  quoted diff-tree -r --no-renames "$base" "$(rescuing write-tree)"
  quoted diff-files --no-renames
} | sed -n "s/^:[0-9]* \(100[0-9]*\) [^$tab]*$tab/\1$tab/p" | sort -u >"$work/files"
cut -f 1 "$work/files" >"$work/modes"
cut -f 2- "$work/files" >"$work/names"
git hash-object -w --no-filters --stdin-paths <"$work/names" >"$work/ids"
paste -d ' ' "$work/modes" "$work/ids" | paste - "$work/names" | rescuing update-index --index-info
tree=$(rescuing write-tree)

# The rescue, if anything would be lost without it.
also= # what else was under way, or that the branch alone leads to
for ref in MERGE_HEAD CHERRY_PICK_HEAD REVERT_HEAD ${branch:+"refs/heads/$branch"}; do
  also="$also $(git rev-parse -q --verify "$ref^{commit}" || :)"
done
# shellcheck disable=SC2086 # here and below: commits, one a word
lost=$(git rev-list --max-count=1 $head $also --not --remotes)
for found in "$index_tree" "$tree"; do
  git diff-tree --quiet "$base" "$found" || lost=$found
done
if [ -n "$lost" ]; then
  index_commit=$(git commit-tree "$index_tree" ${head:+-p "$head"} -m "index before reset")
  with=
  for found in $head $index_commit $also; do
    case "$with " in *" $found "*) ;; *) with="$with -p $found" ;; esac
  done
  # shellcheck disable=SC2086
  rescue=$(git commit-tree "$tree" $with -m "work tree before reset")
  name=refs/sandbox-ops/backup/$(date -u +%Y%m%dT%H%M%SZ) n=1
  until git update-ref "$name-$n" "$rescue" '' 2>"$work/said"; do # '': only a new one
    [ $n -lt 20 ] || refuse "no backup can be made: $(cat "$work/said")"
    n=$((n + 1))
  done
  backup=$name-$n
  [ "$(git rev-parse "$backup^{tree}")" = "$tree" ] || refuse "$backup has another tree"
  git rev-list --objects --quiet "$backup" ${head:+--not "$head"}
  git hash-object --no-filters --stdin-paths <"$work/names" | cmp -s - "$work/ids" ||
    refuse "files in $PWD change while they are saved"
fi

# Nothing was touched so far. What git does not know and COMMIT has becomes known, so
# that it goes with the edits; a checkout without force meets no file it may not replace.
echo "backup=$backup"
for state in rebase am; do
  git "$state" --quit >/dev/null 2>&1 || :
done
git bisect reset HEAD >/dev/null 2>&1 || :
git update-index --add --stdin <"$work/covered"
if [ $# -gt 0 ]; then
  for name; do
    set -- "$@" ":(top,glob)${name#"$magic"}"
    shift
  done
  set_aside "$@"
  for name; do
    set -- "$@" "$magic${name#":(top,glob)"}"
    shift
  done
fi
git reset -q --hard >&2
for name; do
  set -- "$@" -e "/${name#"$magic"}"
  shift
done
git clean -qfd "$@" >&2
[ -n "$branch" ] || exit 0
if ! said=$(quoted checkout -q --no-overwrite-ignore -B "$branch" "$commit" 2>&1); then
  printf '%s\n' "$said" | sed 's/^/item=/'
  refuse "$PWD was rescued to ${backup:-nowhere, it was clean}, but git cannot check out $commit:"
fi
git branch -q "--set-upstream-to=origin/$branch" "$branch" 2>/dev/null || :
git update-ref refs/sandbox-ops/synced "$commit"
