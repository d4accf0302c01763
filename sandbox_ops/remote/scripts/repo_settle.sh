#!/bin/sh
# usage: repo_settle.sh PATH COMMIT [KEEP...]
#
# Brings submodules and large files of the clone at PATH to what COMMIT says, then
# makes sure that the work tree is that commit, but for files under KEEP: outputs.
# Says `submodules=N`.
# uses: fail refuse git_never_asks
set -eu

cd "$1"
commit=$2 submodules=0
git_never_asks
if [ -f .gitmodules ]; then
  git submodule -q sync --recursive >&2
  git submodule -q update --init --recursive >&2
  submodules=$(git submodule status --recursive | wc -l | tr -d ' ')
fi

pointers() { # files whose content was never fetched: git-lfs left its pointer
  git -c core.quotePath=true grep -l -I -e '^version https://git-lfs' -- . |
    git check-attr --stdin filter | sed -n 's/: filter: lfs$//p'
}
if git grep -q -I -e 'filter=lfs' -- .gitattributes '*/.gitattributes'; then
  if git lfs version >/dev/null 2>&1; then
    git config filter.lfs.smudge >/dev/null || git lfs install --local >/dev/null
    git lfs pull >&2
  fi
  if left=$(pointers) && [ -n "$left" ]; then
    printf '%s\n' "$left" | sed 's/^/item=/'
    echo hint_code=install-git-lfs
    refuse "these files are git-lfs pointers, their content did not come:"
  fi
fi

[ "$(git rev-parse HEAD)" = "$commit" ] || refuse "HEAD in $PWD is not $commit"
shift 2
for name; do
  set -- "$@" ":(top,exclude,glob)$name"
  shift
done
edits=$(git --no-optional-locks status --porcelain --untracked-files=no \
  --ignore-submodules=untracked -- . "$@")
if [ -n "$edits" ]; then
  printf '%s\n' "$edits" | sed 's/^/item=/'
  refuse "the work tree at $PWD is not what commit $commit says:"
fi
echo "submodules=$submodules"
