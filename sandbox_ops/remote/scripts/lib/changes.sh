# shellcheck shell=sh
# What is new of the background jobs since a client looked: costs what is new.

# look_changes "SEEN BYTES [ID:SIZE]...": the jobs named, then the oldest hundred of those
# numbered above SEEN, as `look_digests` has them, with a digest of BYTES bytes unless what
# they wrote still has SIZE bytes, which `wrote ID SIZE` says. SIZE `q`: it waited in the
# queue; while it is in `queue` there is nothing new of it. Last `store inode= top=
# upto=`: which folder of records it is, its highest number, and up to where it was looked.
look_changes() {
  # shellcheck disable=SC2086 # words of our own: numbers and ids
  set -- $1
  _since=$1 _reach=$2
  shift 2
  emit_queue
  for _known; do
    case $_known in
      *:q) # it waited when it was last seen
        case "$_ids " in *" ${_known%:q} "*) ;; *) emit_change "${_known%:q}" - ;; esac
        ;;
      *) emit_change "${_known%:*}" "${_known##*:}" ;;
    esac
  done
  select_series bg
  highest_number
  # shellcheck disable=SC2154 # highest_number's
  _highest=$_n _new=0
  while [ "$_since" -lt "$_highest" ] && [ $_new -lt 100 ]; do
    _since=$((_since + 1))
    [ -d "$JOBS/remote-$_since" ] || continue # it was removed: claimed ones are there
    _new=$((_new + 1))
    emit_change "remote-$_since" -
  done
  trailer "store inode=$(stat -c %i "$JOBS") top=$_highest upto=$_since"
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
