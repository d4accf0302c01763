# shellcheck shell=sh
# The records of runs (background jobs that have a run.json), many with a few processes: a
# list of ten thousand is read once, then what is new. What is said of a run (its labels)
# lies in one file that only grows, and so does what is left of records that were pruned.

ARCHIVE_BYTES=33554432 # so much is kept of pruned records
LABELS_BYTES=8388608   # so much may be said of all runs

# look_runs "SEEN MOST LABELS PRUNED [NUMBER...]": the records of the jobs of those numbers, then
# of the next MOST numbers above SEEN, lines `ID/FILE:LINE`; what the two files that grow
# have from those bytes on; last `store id= top= upto= labels= pruned=`: which folder of
# records it is, its highest number, up to where it was looked, the sizes of the files.
look_runs() {
  # shellcheck disable=SC2086 # numbers
  set -- $1
  _since=$1 _upto=$(($1 + $2)) _labels=$3 _pruned=$4
  shift 4
  select_series bg
  highest_number
  _highest=$_n
  [ "$_upto" -le "$_highest" ] || _upto=$_highest
  {
    [ $# = 0 ] || printf '%s\n' "$@"
    [ "$_since" -ge "$_upto" ] || seq "$((_since + 1))" "$_upto"
  } | print_records
  trailer records
  send_grown "$BASE/runs.labels" "$_labels"
  trailer labels
  _labels=$_size
  send_grown "$BASE/runs.pruned" "$_pruned"
  trailer pruned
  store_id
  trailer "store id=$STORE top=$_highest upto=$_upto labels=$_labels pruned=$_size"
}

# look_states "NUMBER...": jobs as they are now, without what they wrote
look_states() {
  for _number in $1; do emit_job "remote-$_number" j 0 0 0 0; done
}

# send_grown FILE FROM: what it has from that byte on, all of it where it is smaller; _size
send_grown() {
  _size=0 _from=$2
  [ ! -s "$1" ] || _size=$(stat -c %s "$1")
  [ "$_from" -le "$_size" ] || _from=0
  [ "$_from" = "$_size" ] || send_range "$_from" "$((_size - _from))" <"$1"
}

# store_id: STORE = what tells this folder of records from every other, written once; its
# inode where nothing can be written
store_id() {
  STORE=
  [ -s "$BASE/store" ] || {
    read_uuid
    create_exclusive "$BASE/store" "$UUID"
  }
  { read -r STORE <"$BASE/store"; } 2>/dev/null
  STORE=${STORE:-$NODE-$(stat -c %i "$JOBS")}
}

# print_records: of the jobs whose numbers are on stdin, those that are runs
print_records() (
  cd "$JOBS" || exit
  _runs=$(sed 's#.*#remote-&/run.json#' | xargs ls -d 2>/dev/null | sed -n 's#/run\.json$##p')
  [ -n "$_runs" ] || return 0
  printf '%s\n' "$_runs" | sed 's#.*#&/state &/spec.json &/run.json#' | xargs grep -asH '[^ ]'
  for _rows in '^[^#]' '^#'; do # what it wrote, the first hundred; then the totals of it
    printf '%s\n' "$_runs" | sed 's#$#/outputs.tsv#' | xargs grep -asH -m 100 "$_rows"
  done
)

# do_label ID LINE: adds a line to what is said of runs; of two clients neither loses one
do_label() {
  find_record "$JOBS/$1" || { answer_error not-found "no job $1"; return; }
  _size=0
  [ ! -e "$BASE/runs.labels" ] || _size=$(stat -c %s "$BASE/runs.labels")
  if [ "$_size" -gt "$LABELS_BYTES" ]; then
    answer_error refused "$BASE/runs.labels has $_size bytes, more are not taken: remove what is not needed"
  elif ! printf '%s\n' "$2" >>"$BASE/runs.labels"; then
    answer_error 'refused full' "cannot write in $BASE: is the disk full, or read-only?"
  fi
}

# keep_records: what will be left of the records whose names (remote-5) are on stdin, and passes
# the names on. A file that grew too large goes on with its later half.
keep_records() {
  _going=$(cat)
  if [ -s "$BASE/runs.pruned" ] && [ "$(stat -c %s "$BASE/runs.pruned")" -gt "$ARCHIVE_BYTES" ]; then
    tail -c "$((ARCHIVE_BYTES / 2))" "$BASE/runs.pruned" >"$BASE/runs.pruned.new" &&
      mv -f "$BASE/runs.pruned.new" "$BASE/runs.pruned"
  fi
  printf '%s\n' "$_going" | sed -n 's/^remote-//p' | print_records >>"$BASE/runs.pruned"
  [ -z "$_going" ] || printf '%s\n' "$_going"
}
