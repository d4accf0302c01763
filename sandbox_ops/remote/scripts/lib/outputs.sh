# shellcheck shell=sh
# What a run writes is its own: a folder made for it, and at its end a record of the files
# that it wrote there and under the declared outputs: checksum, size, time and path.
#
# `outputs` in the job's folder says what is declared: the tree, the folder in which run
# folders are made, then patterns, a line each; {job} in one is the id. `run_dir` says which
# folder is the run's; it is written before the command begins, so what is newer is the run's.

OUTPUTS_MOST=200000    # so many files are listed
OUTPUTS_SUM_CS=180000  # so long checksums are taken
OUTPUTS_QUICK=67108864 # bytes whose checksums take no time worth speaking of

# make_run_dir: RUN_DIR = the folder that is the job's own: one in the tree where `outputs` names
# it, else in its record. In the leader, before anything is the user's. A second attempt has the
# folder of the first.
make_run_dir() {
  RUN_DIR=
  [ "$kind" = bg ] || return 0
  { IFS= read -r RUN_DIR <"$dir/run_dir"; } 2>/dev/null
  if [ -z "$RUN_DIR" ]; then
    read_declared "$dir"
    [ -z "$RUNS" ] || claim_run_dir
    RUN_DIR=${RUN_DIR:-$dir/run}
    { printf '%s\n' "$RUN_DIR" >"$dir/run_dir"; } 2>/dev/null
  fi
  [ -d "$RUN_DIR" ] || mkdir -p "$RUN_DIR" 2>/dev/null
}

# claim_run_dir: RUN_DIR = RUNS/ID, made by us; where another store gave that id, with a number
claim_run_dir() {
  [ -d "$RUNS" ] || mkdir -p "$RUNS" 2>/dev/null
  for _n in '' -2 -3 -4 -5 -6 -7 -8 -9; do
    _own=$RUNS/${dir##*/}$_n
    mkdir "$_own" 2>/dev/null || { rmdir "$_own" && mkdir "$_own"; } 2>/dev/null || continue
    RUN_DIR=$_own
    return 0
  done
}

# read_declared DIR: ROOT (the tree) and RUNS (where run folders are made), or both empty
read_declared() {
  ROOT='' RUNS=''
  { IFS= read -r ROOT && IFS= read -r RUNS; } 2>/dev/null <"$1/outputs"
}

# record_outputs: by the supervisor, once the end is written; what takes long goes on alone. An
# attempt that another follows is not the end.
record_outputs() {
  [ "$kind" = bg ] && [ -z "$queued_again" ] && { IFS= read -r RUN_DIR <"$dir/run_dir"; } 2>/dev/null || return 0
  read_declared "$dir"
  if rmdir "$RUN_DIR" 2>/dev/null && [ -z "$ROOT" ]; then
    rm -f "$dir/run_dir" # it wrote nothing, and declared nothing
  else
    run_detached collect_outputs "$dir"
  fi
}

# collect_outputs DIR: first the list, then the checksums, `outputs.tsv` each time whole. A
# process of its own, one a job; what takes long at the lowest priority, but not the list: on a
# busy machine that would be minutes in which nobody knows what the run wrote.
collect_outputs() {
  trap '' HUP PIPE
  dir=$1
  is_collecting "$dir" && exit 0
  claim_collecting || exit 0
  LC_ALL=C
  export LC_ALL
  # files of its own: where two are at it all the same, neither cuts what the other reads
  _new=$dir/outputs.new.$$ TAB=$(printf '\t')
  read_declared "$dir"
  IFS= read -r RUN_DIR <"$dir/run_dir" || exit
  name_run_dir "$dir"
  list_written >"$_new.names"
  sed '/[[:cntrl:]\\]/d' "$_new.names" | sort -u | head -n $OUTPUTS_MOST >"$_new.kept"
  # what no line can hold, and what is too much, is counted
  _skipped=$(($(sort -u "$_new.names" | wc -l) - $(wc -l <"$_new.kept")))
  tr '\n' '\000' <"$_new.kept" | xargs -0 stat -c "%s$TAB%Y$TAB%n" >"$_new.facts" 2>/dev/null
  _size=0 _count=0
  while IFS= read -r _row; do
    _size=$((_size + ${_row%%"$TAB"*})) _count=$((_count + 1))
    _name=${_row#*"$TAB"*"$TAB"}
    printf '%s' "${_row%"$_name"}"
    case $_name in
      "$RUN_DIR"/*) printf '%s\n' "runs/$OWN/${_name#"$RUN_DIR"/}" ;;
      *) printf '%s\n' "${_name#"$ROOT"/}" ;;
    esac
  done <"$_new.facts" >"$_new.shown"
  [ $_size -lt $OUTPUTS_QUICK ] || renice -n 19 -p $$ >/dev/null 2>&1
  put_outputs listed sed "s/^/-$TAB/" "$_new.shown" &&
    take_sums <"$_new.facts" 3<"$_new.shown" &&
    put_outputs "$_state" cat "$_new.sums"
  [ -z "$RUNS" ] || { printf '%s\n' "$_size $RUNS" >"$dir/outputs.size"; } 2>/dev/null
  rm -f "$_new".* "$dir/collecting"
}

# claim_collecting: this process makes the record; fails where another does, or has meanwhile
claim_collecting() {
  read_stat $$
  if ! create_exclusive "$dir/collecting" "$$ $TICKS"; then
    is_collecting "$dir" && return 1
    rm -f "$dir/collecting" # it was killed
    create_exclusive "$dir/collecting" "$$ $TICKS" || return 1
    find "$dir" -maxdepth 1 -name 'outputs.new.*' -mmin +1 -exec rm -f {} +
  fi
  has_record "$dir" || return 0
  rm -f "$dir/collecting"
  return 1
}

# has_record DIR: it is made
has_record() {
  case $(tail -n 1 "$1/outputs.tsv" 2>/dev/null) in '#	complete'* | '#	limit'*) ;; *) false ;; esac
}

# name_run_dir DIR: OWN = what the run folder is called at home
name_run_dir() {
  OWN=${RUN_DIR##*/}
  [ "$RUN_DIR" != "$1/run" ] || OWN=${1##*/}
}

# is_collecting DIR: another process is at it
is_collecting() {
  _pid='' _ticks=''
  { read -r _pid _ticks <"$1/collecting"; } 2>/dev/null && is_alive "$_pid" "$_ticks"
}

# list_written: the names of what the run wrote, one a line; a newline in one is \001
list_written() {
  {
    [ ! -d "$RUN_DIR" ] || find "$RUN_DIR" -type f -print0
    if [ -n "$ROOT" ] && cd "$ROOT"; then
      set_mark
      list_declared
    fi
  } 2>/dev/null | tr '\n\000' '\001\n'
}

# set_mark: `begun` in the job's folder, _mark: a little older than the beginning, for times of
# files come in ticks; _newer: how `find` compares with it
set_mark() {
  _when=$(stat -c %.2Y "$dir/run_dir") _mark=$dir/begun _newer=-newer
  case $_when in
    *[!0-9.]* | *.*.* | '' | .* | *.) _when=$(stat -c %Y "$dir/run_dir") ;;
  esac
  case $_when in
    *.??)
      decimal "${_when##*.}"
      _when=$((${_when%.*} * 100 + NUMBER - 2))
      _part=$((_when % 100))
      [ $_part -gt 9 ] || _part=0$_part
      touch -d "@$((_when / 100)).$_part" "$_mark"
      ;;
    *) touch -d "@$((_when - 1))" "$_mark" ;; # whose `find` compares seconds, too
  esac || _mark=$dir/run_dir
  # what was moved or unpacked there has an older time of its own
  [ -z "$(find "$dir/run_dir" -cnewer "$_mark" 2>/dev/null)" ] || _newer=-cnewer
}

# list_declared: in ROOT, what the patterns name and the run changed
list_declared() {
  while IFS= read -r _pattern; do
    while :; do
      case $_pattern in *'{job}'*) ;; *) break ;; esac
      _pattern=${_pattern%%'{job}'*}${dir##*/}${_pattern#*'{job}'}
    done
    IFS= # unquoted below: the pattern may hold * and ?, its blanks are its own
    for _path in $_pattern; do
      case $_path in /* | ../* | */../* | */..) continue ;; esac
      [ ! -e "$_path" ] || find "$ROOT/$_path" -type f "$_newer" "$_mark" -print0
    done
  done <<END
$(tail -n +3 "$dir/outputs")
END
  unset IFS
}

# put_outputs STATE COMMAND...: what it prints, a line a file, and a last line that says how much
# is known. Lines that are missing would be files that nobody brings home.
put_outputs() {
  _said="#$TAB$1$TAB$_count$TAB$_size$TAB$_skipped$TAB$ROOT$TAB$RUN_DIR"
  shift
  { "$@" && printf '%s\n' "$_said"; } >"$_new.tsv" 2>/dev/null &&
    [ "$(wc -l <"$_new.tsv")" -eq $((_count + 1)) ] &&
    mv -f "$_new.tsv" "$dir/outputs.tsv" 2>/dev/null
}

# take_sums: of the files that stdin names, into outputs.new.sums; _state = complete, or
# limit where the time did not do
take_sums() {
  now
  _until=$((UP + OUTPUTS_SUM_CS)) _state=complete _bytes=0
  SUM=sha256sum # openssl knows the processor's own, coreutils may not
  ! openssl dgst -sha256 -r </dev/null >/dev/null 2>&1 || SUM='openssl dgst -sha256 -r'
  printf '' >"$_new.rows"
  printf '' >"$_new.sums"
  set --
  while IFS= read -r _row; do
    _bytes=$((_bytes + ${_row%%"$TAB"*}))
    set -- "$@" "${_row#*"$TAB"*"$TAB"}"
    IFS= read -r _row <&3
    printf '%s\n' "$_row" >>"$_new.rows"
    [ $# -lt 100 ] && [ "$_bytes" -lt 1073741824 ] || { sum_batch "$@" || return; set --; _bytes=0; }
  done
  [ $# = 0 ] || sum_batch "$@"
}

# sum_opened: the checksum of file 8, where that is a file that has an end
sum_opened() {
  # shellcheck disable=SC2086 # a command and its options
  find_opened && timeout $_left $SUM <&8
}

# sum_batch FILE...: adds the rows of outputs.new.rows with their checksums, - where there is none
sum_batch() {
  now
  _left=$(((_until - UP) / 100))
  if [ $_left -le 0 ]; then
    _state=limit
    sed "s/^/-$TAB/" "$_new.rows" >>"$_new.sums" || return
    printf '' >"$_new.rows"
    return
  fi
  _few=$((30 + _bytes / 5000000)) # seconds that suffice, unless one waits for ever
  # shellcheck disable=SC2086 # a command and its options
  timeout $((_left < _few ? _left : _few)) $SUM "$@" 2>/dev/null </dev/null | cut -c 1-64 >"$_new.some"
  if [ "$(wc -l <"$_new.some")" -ne $# ]; then # one is gone, became a pipe, or is too large for the time
    for _file; do
      now
      _left=$(((_until - UP) / 100)) _sum=
      if [ $_left -gt 0 ]; then _sum=$(with_opened "$_file" sum_opened 2>/dev/null); else _state=limit; fi
      printf '%.64s\n' "${_sum:--}"
    done >"$_new.some"
  fi
  paste "$_new.some" "$_new.rows" >>"$_new.sums" || return
  printf '' >"$_new.rows"
}
