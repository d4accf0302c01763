#!/bin/sh
# usage: own_tree.sh CLONE COMMIT PLACE [LINK...]
#
# Makes a work tree of CLONE at PLACE, at COMMIT, on no branch, and in it a link to each LINK that the
# clone has and git does not track. It is on record, so that it goes where no run comes to use it
# (lib/own_tree.sh). Says `linked=` and `missing=`.
# uses: fail refuse
set -eu

clone=$1 commit=$2 place=$3
shift 3
[ ! -e "$place" ] || refuse "$place is there already"
mkdir -p "${place%/*}" "${SANDBOX_JOB%/jobs/*}/trees"
printf '%s\n' "$place" "$clone" >"${SANDBOX_JOB%/jobs/*}/trees/${place##*/}"
cd "$clone"
git worktree add -q --detach "$place" "$commit" >&2
exclude=$(git rev-parse --git-path info/exclude)
for link; do
  link=${link%/}
  if [ ! -e "$clone/$link" ]; then
    echo "missing=$link"
  elif [ ! -e "$place/$link" ] && [ ! -L "$place/$link" ]; then
    # git takes a link for a file: what ignores `data/` does not ignore a link of that name
    grep -q -x -F -e "/$link" "$exclude" 2>/dev/null || printf '%s\n' "/$link" >>"$exclude"
    mkdir -p "$(dirname "$place/$link")"
    ln -s "$clone/$link" "$place/$link"
    echo "linked=$link"
  fi
done
