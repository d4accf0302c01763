# shellcheck shell=sh
# Groups of jobs (sweeps): which job is which cell of which group, and starting many at once.
#
# groups/KEY: a line `CELL ID IDENTITY COMMIT` for each start whose token was granted; CELL counts
# from 1, or is `then` for the job that runs after all others. Of a cell the newest line counts whose
# job is still there. How many lines an identity has is part of its next token (sweep_plan.py), so a
# line stands for a start that nobody can make again. Before it a line `=CELL ID IDENTITY` takes the
# number: the first line of a number, of either kind, says whose it is.

# do_start_all WORDS...: many starts, one after the other; WORDS are those of do_start for one,
# quoted for a shell. The first that is refused is the last that is tried.
do_start_all() {
  REFUSED='' STARTS_MORE=1
  for _start in "$@"; do
    eval "do_start $_start"
    [ -z "$REFUSED" ] || break
  done
  STARTS_MORE=
  poke_keeper # once for all: each time it looks at every job that waits
}

# take_cell: the number _cell of the group _group is that identity's; answers why not. Written before
# it is looked for: of two who take one number at once, the second finds the first.
take_cell() {
  [ "$_cell" != 'then' ] || return 0
  if ! printf '=%s\n' "$_cell $_id $_identity" >>"$BASE/groups/$_group"; then
    note_if_full "$BASE"
    answer_error refused "cannot write in $BASE/groups: is the disk full, or read-only?"
    return 1
  fi
  case "$(grep -m 1 "^=\{0,1\}$_cell " "$BASE/groups/$_group") " in *" $_identity "*) return 0 ;; esac
  answer_error 'refused group' "the group $_group was changed meanwhile"
  return 1
}

# join_group: the job _id, whose token was granted, is that cell of its group from now on
join_group() {
  _line="$_cell $_id $_identity ${_commit:--}"
  if ! printf '%s\n' "$_line" >>"$BASE/groups/$_group"; then
    note_disk_full "$BASE"
    rm -f "$BASE/ballast"
    printf '%s\n' "$_line" >>"$BASE/groups/$_group"
  fi
  printf 'group\n' >"$BASE/names/$_group" || rm -f "$BASE/names/$_group"
}

# join_late: the same for a start that was cut off before, by what its record says; for who finds
# its token granted
join_late() {
  _group=''
  { read -r _ && read -r _group _cell _identity _commit; } 2>/dev/null <"$JOBS/$_id/token"
  [ -z "$_group" ] || grep -qs "^$_cell $_id " "$BASE/groups/$_group" || join_group
}

# find_group_jobs: MEMBERS = the newest job of each cell that is still there, in the order of
# the cells, whose NUMBERS are these; THEN = that of the cell `then`, or nothing. It reads standard
# input: the lines of the group
find_group_jobs() {
  MEMBERS='' NUMBERS='' THEN='' _top=0
  while read -r _c _i _; do
    case $_i in remote-*[!0-9]* | remote-) continue ;; remote-*) ;; *) continue ;; esac
    [ -d "$JOBS/$_i" ] || continue
    case $_c in
      then) THEN=$_i ;;
      '' | *[!0-9]* | 0* | ??????*) ;;
      *)
        eval "_cell_$_c=$_i"
        [ "$_c" -le "$_top" ] || _top=$_c
        ;;
    esac
  done
  _c=0
  while [ $_c -lt "$_top" ]; do
    _c=$((_c + 1))
    eval "_i=\${_cell_$_c-}; unset _cell_$_c"
    MEMBERS="$MEMBERS${_i:+ $_i}" NUMBERS="$NUMBERS${_i:+ $_c}"
  done
}

# find_cell KEY/CELL: _id = its newest job that is still there, or `none`
find_cell() {
  _id=none
  while read -r _c _i _; do
    [ "$_c" = "${1#*/}" ] || continue
    case $_i in remote-*[!0-9]* | remote-) ;; remote-*) [ ! -d "$JOBS/$_i" ] || _id=$_i ;; esac
  done <"$BASE/groups/${1%/*}"
}

# look_group "KEY MODE BYTES": `group KEY` with its lines, then its jobs as `emit_job` has them,
# with `r` in MODE each after its run record (`run ID`); digests of those that are final all at
# once, as `summaries`: lines `ID/summary:LINE`. Nothing where there is no such group
look_group() {
  # shellcheck disable=SC2086 # three words of our own
  set -- $1
  [ -f "$BASE/groups/$1" ] || return 0
  _lines=$(cat "$BASE/groups/$1") # once: of what is added meanwhile, all or nothing is told
  printf '%s\n' "$_lines"
  trailer "group $1"
  find_group_jobs <<EOT
$_lines
EOT
  _summaries=
  for _member in $MEMBERS $THEN; do
    case $2 in *r*) cat "$JOBS/$_member/run.json"; trailer "run $_member" ;; esac
    case $2 in
      *d*) [ ! -f "$JOBS/$_member/summary" ] || {
        _summaries="$_summaries $_member/summary"
        emit_job "$_member" j 0 0 0 0
        continue
      } ;;
    esac
    emit_job "$_member" "$2" 0 "$3" 0 0
  done
  [ -n "$_summaries" ] || return 0
  # shellcheck disable=SC2086 # our own names
  (cd "$JOBS" && LC_ALL=C grep -H '' $_summaries)
  trailer summaries
}

# count_group: COUNTS = shell lines that export how the cells of a group ended, for the job in
# `dir` that runs after them; its `then` names the group. And group.tsv there, a line a cell:
# number, id, state, exit code, folder of its record.
count_group() {
  read -r _key <"$dir/then"
  find_group_jobs <"$BASE/groups/$_key"
  _cells=0 _good=0
  # shellcheck disable=SC2086 # numbers
  set -- $NUMBERS
  for _i in $MEMBERS; do
    get_state "$JOBS/$_i"
    _code=-
    for _word in $LINE; do case $_word in code=*) _code=${_word#*=} ;; esac done
    case "$LINE " in
      *' reason=stopped '* | *' reason=unmet '*) _state=stopped ;;
      *' reason=timed-out '*) _state=timed-out ;;
      ended*' code=0 '*) _state=succeeded _good=$((_good + 1)) ;;
      ended*' code=-'*) _state=lost ;;
      'ended '*) _state=failed ;;
      *) _state=lost ;;
    esac
    _cells=$((_cells + 1))
    printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$_i" "$_state" "$_code" "$JOBS/$_i"
    shift
  done >"$dir/group.tsv"
  COUNTS="export SANDBOX_GROUP_CELLS=$_cells SANDBOX_GROUP_SUCCEEDED=$_good
export SANDBOX_GROUP_FAILED=$((_cells - _good))"
}

# prune_groups: groups whose jobs are all gone
prune_groups() {
  for _file in "$BASE/groups"/*; do
    [ -f "$_file" ] || continue
    find_group_jobs <"$_file"
    [ -n "$MEMBERS$THEN" ] || rm -f "$_file"
  done
}
