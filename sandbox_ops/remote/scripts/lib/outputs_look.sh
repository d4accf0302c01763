# shellcheck shell=sh
# Looking at the records of what runs wrote (outputs.sh makes them).

# look_outputs "ID [now]": the record, `outputs ID state=`: ready, pending (it is being made: only
# who says `now` gets what there is), live (it has not ended: just the last line), or none
look_outputs() {
  resolve "${1% now}"
  _dir=$JOBS/$_id _ready=none
  if ! find_record "$_dir"; then
    trailer "missing $1"
    return
  fi
  [ "$PHASE" = ended ] || find_life "$_dir"
  if { IFS= read -r RUN_DIR <"$_dir/run_dir"; } 2>/dev/null; then
    read_declared "$_dir"
    case $PHASE.$LIFE in
      ended.* | *.gone | *.restarted)
        _ready=ready
        if ! has_record "$_dir"; then
          _ready=pending
          is_collecting "$_dir" || run_detached collect_outputs "$_dir"
        fi
        ;;
      *)
        _ready=live dir=$_dir
        set_mark
        printf '#\tlive\t0\t0\t0\t%s\t%s\n' "$ROOT" "$RUN_DIR"
        ;;
    esac
  fi
  case $_ready.$1 in
    ready.* | *' now') cat "$_dir/outputs.tsv" 2>/dev/null ;;
  esac
  trailer "outputs $_id state=$_ready"
}

# look_sizes TREE: `written ID bytes=`: of the newest five runs of the project at TREE that ended, the one
# that wrote most, if there is one
look_sizes() {
  _most=-1 _which='' _count=0 _missed=0
  select_series bg
  highest_number
  while [ "$_n" -gt 0 ] && [ $_count -lt 5 ] && [ $_missed -lt 500 ]; do
    _bytes='' _runs=''
    if { read -r _bytes _runs <"$JOBS/remote-$_n/outputs.size"; } 2>/dev/null && [ "$_runs" = "$1/runs" ]; then
      _count=$((_count + 1))
      [ "$_bytes" -le "$_most" ] || _most=$_bytes _which=remote-$_n
    else
      _missed=$((_missed + 1))
    fi
    _n=$((_n - 1))
  done
  [ -z "$_which" ] || trailer "written $_which bytes=$_most"
}

# in_sed TEXT: as the second half of an `s`
in_sed() {
  printf '%s' "$1" | sed 's/[\\/&]/\\&/g'
}

# look_changed ID: of the record those lines, without their checksums, that are not so any more;
# with absolute names
look_changed() {
  resolve "$1"
  _dir=$JOBS/$_id _facts='^\([0-9]*	[0-9]*	\)'
  { IFS= read -r RUN_DIR <"$_dir/run_dir"; } 2>/dev/null
  read_declared "$_dir"
  name_run_dir "$_dir"
  cut -f 2- "$_dir/outputs.tsv" | LC_ALL=C sed -e '$d' \
    -e "s/${_facts}runs\/$OWN\//\1$(in_sed "$RUN_DIR")\//;t" \
    -e "s/$_facts\([^\/]\)/\1$(in_sed "$ROOT")\/\2/" >"$BASE/listed.$$"
  cut -f 3- "$BASE/listed.$$" | tr '\n' '\000' |
    xargs -0 stat -c '%s	%Y	%n' 2>/dev/null >"$BASE/present.$$"
  LC_ALL=C grep -avxF -f "$BASE/present.$$" "$BASE/listed.$$"
  rm -f "$BASE/listed.$$" "$BASE/present.$$"
  trailer "changed $_id"
}
