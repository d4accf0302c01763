# shellcheck shell=sh
# What is new of the background jobs since somebody looked: costs what is new.

# look_changes "SEEN BYTES [ID:SIZE]...": the jobs named, then those numbered above SEEN,
# as `look_digests` has them, with a digest of BYTES bytes unless what they wrote still has
# SIZE bytes, which `wrote ID SIZE` says. Last `store inode= top=`: which folder of
# records it is, and the highest number in it.
look_changes() {
  # shellcheck disable=SC2086 # words of our own: numbers and ids
  set -- $1
  _since=$1 _reach=$2
  shift 2
  for _known; do
    emit_change "${_known%:*}" "${_known##*:}"
  done
  select_series bg
  highest_number
  _highest=$_n
  [ $((_n - _since)) -le 500 ] || _since=$((_n - 500))
  while [ "$_n" -gt "$_since" ]; do
    _known=remote-$_n _n=$((_n - 1))
    emit_change "$_known" -
  done
  trailer "store inode=$(stat -c %i "$JOBS") top=$_highest"
}

# emit_change ID SIZE: one job, with its digest unless it wrote SIZE bytes so far
emit_change() {
  _written=0
  for _size in $(stat -c %s "$JOBS/$1/log" "$JOBS/$1/metrics.jsonl" 2>/dev/null); do
    _written=$((_written + _size))
  done
  trailer "wrote $1 $_written"
  if [ "$_written" = "$2" ]; then
    emit_job "$1" j 0 0 0 0
  else
    emit_job "$1" jd 0 "$_reach" 0 0
  fi
}
