#!/bin/sh
# usage: repo_receive.sh PATH BUNDLE BRANCH COMMIT [DIRTY_REF DIRTY]
#
# Takes commits into the clone at PATH that came as the file BUNDLE, which is removed;
# empty where all are there already. BRANCH stands at COMMIT afterwards as if origin had
# been fetched, and DIRTY_REF keeps the commit DIRTY. The work tree stays as it is.
set -eu
cd "$1"
bundle=$2 remote=refs/remotes/origin/$3 commit=$4 dirty_ref=${5-} dirty=${6-}
if [ -n "$bundle" ]; then
  trap 'rm -f "$bundle"' EXIT
  trap 'exit 143' HUP INT TERM
  find "${bundle%/*}" -type f -mtime +1 -exec rm -f {} + # of clients that died
  set -- "+refs/heads/$3:$remote"
  [ -z "$dirty_ref" ] || set -- "$@" "+$dirty_ref:$dirty_ref"
  git fetch -q --no-tags --no-recurse-submodules "$bundle" "$@" >&2
else
  git update-ref "$remote" "$commit"
  [ -z "$dirty_ref" ] || git update-ref "$dirty_ref" "$dirty"
fi
[ "$(git rev-parse --verify "$remote^{commit}")" = "$commit" ]
[ -z "$dirty_ref" ] || [ "$(git rev-parse --verify "$dirty_ref^{commit}")" = "$dirty" ]
git config sandbox-ops.via ssh
