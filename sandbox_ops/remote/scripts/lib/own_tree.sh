# shellcheck shell=sh
# Trees of runs: made beside the clone for one run (own_tree.sh), kept as long as its record, and
# removed with it. What the run wrote in one goes to its run folder first; edits and commits that were
# made in it are rescued as reset does. Where that cannot be, tree and record stay.

# remove_own_trees: reads the names of records that are to go; says those that may
remove_own_trees() {
  while IFS= read -r _record; do
    if (remove_own_tree "$JOBS/$_record") >/dev/null 2>&1; then
      printf '%s\n' "$_record"
    fi
  done
  for _entry in "$BASE/trees"/*; do # of starts that were cut off before there was a job
    [ -n "$(find "$_entry" -mtime +1 2>/dev/null)" ] || continue
    grep -qsxF "$(head -n 1 "$_entry")" "$JOBS"/remote-*/own_tree && continue
    (remove_tree "$_entry" '') >/dev/null 2>&1 || :
  done
}

# remove_own_tree DIR: the tree of that record, if it has one. In a shell of its own.
remove_own_tree() {
  [ -s "$1/own_tree" ] || return 0
  [ -e "$1/outputs.tsv" ] || [ ! -e "$1/run_dir" ] || (collect_outputs "$1")
  IFS= read -r RUN_DIR <"$1/run_dir" || RUN_DIR=
  remove_tree "$1/own_tree" "$1"
}

# remove_tree FILE DIR: FILE names the tree, then its clone; DIR: the record of its run, or ''
remove_tree() {
  { IFS= read -r _tree && IFS= read -r _clone; } <"$1" || return
  case $_tree in */.sandbox-ops/trees/*) ;; *) return 1 ;; esac
  _entry=$BASE/trees/${_tree##*/}
  if [ -d "$_tree" ]; then
    cd -P "$_tree" || return
    _tree=$PWD
    [ "$(git rev-parse --show-toplevel)" = "$_tree" ] || return
    [ -z "$2" ] || [ -z "$RUN_DIR" ] || move_outputs "$2" || return
    rescue_own_tree || return
    cd /
    rm -rf "$_tree" || return
  fi
  git -C "$_clone" worktree prune
  rm -f "$_entry"
}

# move_outputs DIR: what the declared outputs name in the tree to RUN_DIR, but for what git tracks and
# what a link shares with others
move_outputs() {
  tail -n +3 "$1/outputs" >"$1/outputs.moving" || return
  while IFS= read -r _pattern; do
    while :; do
      case $_pattern in *'{job}'*) ;; *) break ;; esac
      _pattern=${_pattern%%'{job}'*}${1##*/}${_pattern#*'{job}'}
    done
    IFS= # unquoted below: the pattern may hold * and ?, its blanks are its own
    for _path in $_pattern; do
      case $_path in /* | ../* | */../* | */..) continue ;; esac
      [ -e "$_path" ] && [ ! -L "$_path" ] || continue
      git ls-files -z -o -- "$_path" | tr '\n\000' '\001\n' | while IFS= read -r _file; do
        _file=$(printf '%s.' "$_file" | tr '\001' '\n')
        move_output "${_file%.}" || exit
      done || return
    done
  done <"$1/outputs.moving"
  unset IFS
  rm -f "$1/outputs.moving"
}

# move_output FILE: one file of the tree, unless it lies behind a link
move_output() {
  _folder=${1%/*}
  [ "$_folder" != "$1" ] || _folder=.
  case $(cd -P "$_folder" && pwd)/ in "$_tree"/*) ;; *) return 0 ;; esac
  mkdir -p "$RUN_DIR/$_folder" && mv -f "$1" "$RUN_DIR/$1"
}

# rescue_own_tree: edits, untracked files and commits that only this tree has, to a ref of the clone's
rescue_own_tree() {
  _status=$(git status --porcelain=v2 --untracked-files=all --ignore-submodules=none) || return
  case "
$_status" in *'
'[12]' '??' S'[C.][M.]U' '* | *'
'[12]' '??' S'[C.]M[U.]' '* | *'
'[12]' '??' SC'*) return 1 ;; esac # what a submodule holds is not in the outer tree
  _commit=$(git rev-parse HEAD) || return
  if [ -z "$_status" ]; then
    [ -n "$(git rev-list --max-count=1 HEAD --not --remotes --branches)" ] || return 0
  else
    GIT_AUTHOR_NAME=sandbox-ops GIT_AUTHOR_EMAIL=sandbox-ops@localhost
    GIT_COMMITTER_NAME=sandbox-ops GIT_COMMITTER_EMAIL=sandbox-ops@localhost
    export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
    git add -A && _index=$(git write-tree) || return
    _commit=$(git commit-tree "$_index" -p HEAD -m "own tree of ${_tree##*/}") || return
  fi
  git update-ref "refs/sandbox-ops/backup/$(date -u +%Y%m%dT%H%M%SZ)-${_tree##*/}" "$_commit" ''
}
