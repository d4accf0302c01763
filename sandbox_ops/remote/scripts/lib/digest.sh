# shellcheck shell=sh
# What a reader of progress needs of a job, as one short text: the ends of its files, without
# what was only redrawn. Costs the same however long a log is.

DIGEST_REACH=262144 # so many bytes of a log's end are searched
DIGEST_MARK='\036'  # stands between the parts of a digest, and nowhere in them

# emit_digest ID BYTES: `digest ID`. That of an ended job is kept beside its log, as
# `summary`: a thousand of them cost a thousand short reads.
emit_digest() {
  if [ ! -f "$_dir/summary" ]; then
    if ! digest_is_final || ! keep_summary; then
      digest "$2"
      trailer "digest $1"
      return
    fi
  fi
  cat "$_dir/summary"
  trailer "digest $1"
}

# digest_is_final: nothing writes to the log any more: it ended more than a second ago, or
# in another life of the machine, and left no process
digest_is_final() {
  [ "$PHASE" = ended ] || return 1
  [ "$WHERE" = "$MACHINE" ] || return 0
  [ "$SURVIVORS" = 0 ] || [ -e "$_dir/quiet" ] || return 1
  [ $((UP - ${UP1:-0})) -gt 100 ]
}

# keep_summary: fails, and leaves nothing, where it cannot be written whole
keep_summary() {
  digest 4096 >"$_dir/summary.$$" && mv -f "$_dir/summary.$$" "$_dir/summary" && return 0
  note_if_full "$BASE"
  rm -f "$_dir/summary.$$"
  return 1
}

# digest BYTES: four parts: the log's beginning, where its end is not all of it; what is
# notable before the end; the end; the end of its file of metrics
digest() {
  _size=0
  [ ! -s "$_dir/log" ] || _size=$(stat -c %s "$_dir/log") || return 1
  if [ "$_size" -gt "$1" ]; then
    head -c 2048 "$_dir/log" | tr -d "\\000$DIGEST_MARK" || return 1
    printf '%b' "$DIGEST_MARK"
    tail -c "$DIGEST_REACH" "$_dir/log" | last_states | notable
    printf '%b' "$DIGEST_MARK"
    {
      [ "$_size" -gt "$DIGEST_REACH" ] || printf '\n' # its first line is whole
      tail -c "$DIGEST_REACH" "$_dir/log" | last_states
    } | tail -c "$1" || return 1
  else
    printf '%b%b' "$DIGEST_MARK" "$DIGEST_MARK"
    [ "$_size" = 0 ] || tr -d "\\000$DIGEST_MARK" <"$_dir/log" || return 1
  fi
  printf '%b' "$DIGEST_MARK"
  [ ! -f "$_dir/metrics.jsonl" ] || tail -c 8192 "$_dir/metrics.jsonl" | tr -d "\\000$DIGEST_MARK"
}

# last_states: of a line that was redrawn only its last state. Newlines and carriage returns
# change places: what holds no newline then was drawn over.
last_states() {
  [ -n "${CARRIAGE_RETURN-}" ] || CARRIAGE_RETURN=$(printf '\r')
  tr -d "\\000$DIGEST_MARK" | tr '\r\n' '\n\r' |
    LC_ALL=C sed -e "/$CARRIAGE_RETURN/b" -e '$!d' | tr '\r\n' '\n\r'
}

# notable: the last lines that speak of a training, and each traceback's first line and the
# exception that ends it
notable() {
  {
    printf '\n' # as above: the first line is whole where nothing is cut off before it
    LC_ALL=C sed -nE -e '/Traceback \(most recent call last\)/,/^(\[[^]]*]: )?[^[[:space:]]/{
      /^(\[[^]]*]: )?[[:space:]]/!p
      b
    }' -e '/[Ll]oss|[Ee]poch|[Ss]tep|[Ii]ter|[Rr]eward|[Ee]pisode|[Gg]eneration|^\[[0-9]/p'
  } | tail -c 2048
}
