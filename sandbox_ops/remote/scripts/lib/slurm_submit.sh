# shellcheck shell=sh
# Submits a job to Slurm: the batch script, the options of sbatch, what it depends on. A submission
# whose answer is lost is no failure: slurm_life.sh finds out what became of it.

SLURM_SUBMIT=25    # seconds: sbatch, less than we have for our answer

# submit_new: the job _id of this start goes to Slurm, and that is answered; refused, with nothing
# left of it, where Slurm takes no such job
submit_new() {
  printf '' >"$BASE/live/$_id"
  if submit_slurm "$_d"; then
    [ -z "$_group" ] || join_group
    emit_job "$_id" j 0 "$_max" 0 "$_max"
    return
  fi
  for _mine in $_claims; do rm -f "$BASE/claims/$_mine.$_id"; done
  [ -z "$_name" ] || rm -f "$BASE/names/$_name"
  rm -rf "$BASE/tokens/$_token" "$BASE/live/$_id" "$_d"
  _takes='no such job'
  [ -z "$SLURM_FULL" ] || _takes='no more jobs now'
  answer_error 'refused slurm' "Slurm takes $_takes: $SLURM_SAYS"
}

# write_slurm DIR: what sbatch is given about it
write_slurm() {
  printf '%s\n' "$_slurm" >"$1/slurm" && [ -s "$1/slurm" ] && printf '%s\n' "$_after" >"$1/after" && write_chain "$1" || return 1
  printf '#!/bin/sh\nSANDBOX_OPS_SH=%s exec %s %s slurm_job %s\n' \
    "$(quoted "$SH")" "$SH" "$(quoted "$LIBRARY")" "$(quoted "$1")" >"$1/batch" && [ -s "$1/batch" ]
}

# quoted TEXT: prints it as one word of a shell
quoted() {
  printf "'%s'" "$(printf %s "$1" | sed "s/'/'\\\\''/g")"
}

# percent PATH: prints it as sbatch takes a file's name, where % begins a pattern
percent() {
  case $1 in
    *%*) printf %s "$1" | sed 's/%/%%/g' ;;
    *) printf %s "$1" ;;
  esac
}

# submit_slurm DIR: sbatch, and its answer is kept. Fails where Slurm refused: SLURM_SAYS, and
# SLURM_FULL where it may take it later. Where it is not known what became of it, that is no failure: who looks at the job
# finds out.
submit_slurm() {
  SLURM_FULL=''
  read_stat self
  clock_s
  printf '%s\n' "$NOW_S" >"$1/slurm.tried"
  printf '%s\n' "$ITS $TICKS $MACHINE" >"$1/slurm.submit"
  { read -r _job_token <"$1/token"; } 2>/dev/null
  set -- "$1" --parsable "--job-name=so-$_job_token" "--output=$(percent "$1/slurm.out")" --open-mode=append \
    "--chdir=$BASE" "--comment=sandbox-ops ${1##*/}"
  while IFS= read -r _line; do [ -z "$_line" ] || set -- "$@" "$_line"; done <"$1/slurm"
  { read -r _after <"$1/after"; } 2>/dev/null
  find_chain "$1"
  if ! find_dependency; then
    rm -f "$1/slurm.submit"
    return 1
  fi
  _dir_of_job=$1
  shift
  [ -z "$CHAIN" ] || DEPENDENCY=$DEPENDENCY${DEPENDENCY:+,}afterany:$CHAIN
  [ -z "$DEPENDENCY" ] || set -- "$@" "--dependency=$DEPENDENCY" --kill-on-invalid-dep=yes
  set -- "$@" "$_dir_of_job/batch"
  rm -f "$BASE/squeue"
  ROWS_AT=''
  _answer=$(
    # shellcheck disable=SC2086 # "sh" or "busybox sh"
    set -- $SH -c 'echo "$$" && exec "$@"' sh timeout "$SLURM_SUBMIT" sbatch "$@"
    eval "$LOGIN_ENV" # from here on any variable may be the user's
    unset SBATCH_ARRAY_INX SBATCH_WAIT
    {
      "$@" 2>&1 </dev/null 6>&- 7>&- 9<&-
      echo "code=$?"
    } | {
      read -r pid
      while IFS= read -r line; do
        printf '%s\n' "$line"
        # it would try again for two minutes; timeout leads a group, and may not know its child yet
        case $line in *'temporarily unable to accept job'*) kill -s KILL -- "-$pid" || kill -s KILL "$pid" ;; esac 2>/dev/null
      done
    }
  )
  _code=${_answer##*code=} _answer=${_answer%code=*}
  set -- "$_dir_of_job"
  rm -f "$1/slurm.submit"
  _number=$(printf '%s\n' "$_answer" | sed -n 's/^\([0-9][0-9]*\)\(;.*\)\{0,1\}$/\1/p' | tail -n 1)
  if [ "$_code" = 0 ] && [ -n "$_number" ]; then
    clock_s
    printf '%s\n' "$_number $NOW_S" >"$1/slurm.id"
    return 0
  fi
  case $_code:$_answer in # it may have been heard
    *'temporarily unable to accept job'*)
      SLURM_FULL=1 SLURM_SAYS='it has as many jobs as it may (MaxJobCount), or is too busy: later it may take more'
      return 1
      ;;
    124:* | *'imed out'* | *'Zero Bytes'* | *'nexpected message'* | *'error receiv'* | 0:*) return 0 ;;
  esac
  SLURM_SAYS=$(printf '%s' "$_answer" | sed 's/^sbatch: //; s/^error: //' | tail -n 3 | head -c 600)
  [ "$_code" != 127 ] || SLURM_SAYS='sbatch is not installed on the login node, or not in PATH'
  return 1
}

# find_dependency: DEPENDENCY = the jobs of _after as sbatch takes them; those that are over are none.
# Fails where one ended that should have succeeded: SLURM_SAYS
find_dependency() {
  DEPENDENCY='' _unread=${_after:+$_after,}
  while [ -n "$_unread" ]; do
    _first=${_unread%%,*} _unread=${_unread#*,}
    _other=${_first%:any} _kind=afterok _number=
    [ "$_other" = "$_first" ] || _kind=afterany
    if has_plain_files "$JOBS/$_other" && get_state "$JOBS/$_other" && [ "$PHASE" = ended ]; then
      case $_kind:$LINE in afterany:* | *" code=0 reason=exited "*) continue ;; esac
      SLURM_SAYS="$_other did not succeed"
      return 1
    fi
    [ ! -f "$JOBS/$_other/slurm.id" ] || { read -r _number _ <"$JOBS/$_other/slurm.id"; } 2>/dev/null
    if [ -z "$_number" ]; then
      SLURM_SAYS="$_other is not a job of Slurm"
      return 1
    fi
    DEPENDENCY=$DEPENDENCY${DEPENDENCY:+,}$_kind:$_number
  done
}
