# shellcheck shell=sh
# What squeue says of all our jobs: asked for once, kept for whoever else wants to know.

SQUEUE_AGE=300     # so old, in centiseconds, may be what Slurm said of all jobs

# read_rows: ROWS = `\nID|STATE|NAME|NODES|START|REASON\n` of all our jobs, in Slurm's order, asked
# for once, however many want to know; ROWS_AT = when. Fails where Slurm does not answer: SLURM_SAYS
read_rows() {
  clock_s
  [ -z "${ROWS_AT-}" ] || [ $((UP - ROWS_AT)) -gt $SQUEUE_AGE ] || return 0
  ROWS_AT='' ROWS='' _when='' _where='' _mine=$NODE.$MYSELF
  [ ! -f "$BASE/squeue" ] || { read -r _when _where <"$BASE/squeue"; } 2>/dev/null
  case $_when in '' | *[!0-9]*) _where='' ;; esac
  if [ "$_where" = "$MACHINE" ] && [ $((UP - _when)) -le $SQUEUE_AGE ]; then
    ROWS="
$(sed 1d "$BASE/squeue")
"
  elif printf '' >"$BASE/asked.$_mine" && _answer=$(list_squeue -u "$(id -un)" -t all -o "$UP.$MYSELF|%i|%T|%j|%N|%S|%r" 2>&1); then
    # a name may hold a line end, and what looks like a row after it
    _answer=$(printf '%s\n' "$_answer" | sed -n "s/^$UP\.$MYSELF|//p")
    _when=$UP
    printf '%s\n' "$UP $MACHINE" "$_answer" >"$BASE/squeue.$_mine" &&
      touch -r "$BASE/asked.$_mine" "$BASE/squeue.$_mine" && mv -f "$BASE/squeue.$_mine" "$BASE/squeue"
    ROWS="
$_answer
"
  else
    SLURM_SAYS=$(printf '%s' "${_answer:-it did not answer within $SLURM_ANSWER s}" | tail -n 1 | head -c 300)
    return 1
  fi
  ROWS_AT=$_when
  rm -f "$BASE/asked.$_mine"
  index_rows
}

# list_squeue OPTION...: squeue's rows. Its own variables, which a login may set, would filter them
# or write times in another way.
list_squeue() (
  for _word in PARTITION ACCOUNT QOS NAMES USERS STATES SORT LICENSES ARRAY ALL PRIORITY FORMAT; do
    unset "SQUEUE_$_word"
  done
  unset SLURM_TIME_FORMAT SLURM_BITSTR_LEN
  LC_ALL=C exec timeout $SLURM_ANSWER squeue -h "$@" </dev/null
)

# index_rows: ROW_ID = each of the ROWS: to look for one in the text of all takes 9 ms where there are 50
index_rows() {
  for _row in ${ROW_IDS-}; do unset "ROW_$_row"; done
  ROW_IDS=
  while IFS='|' read -r _row _rest; do
    case $_row in '' | *[!0-9]*) continue ;; esac
    eval "ROW_$_row=\$_rest"
    ROW_IDS="$ROW_IDS $_row"
  done <<EOF
$ROWS
EOF
}

# list_slurm_queue: _ids = these, and our jobs that wait in Slurm, in its order
list_slurm_queue() {
  while IFS='|' read -r _ _state _name _; do
    case $_state:$_name in PENDING:so-*[!0-9A-Za-z_-]*) continue ;; PENDING:so-?*) ;; *) continue ;; esac
    { read -r _waiting <"$BASE/tokens/${_name#so-}"; } 2>/dev/null && _ids="$_ids $_waiting"
  done <<EOF
$ROWS
EOF
}

# find_number NAME: _number = the first of our jobs that has just that name: others may hold it, too
find_number() {
  case $ROWS in *"|$1|"*) ;; *) return 1 ;; esac
  for _number in $ROW_IDS; do
    find_row "$_number" "$1" && return 0
  done
  _number=
  return 1
}

# find_row ID NAME: STATE NODES START REASON of that job in ROWS, if it has that name: Slurm gives
# its numbers again
find_row() {
  STATE='' NODES='' START='' REASON='' CODE=''
  eval "_row=\${ROW_$1-}"
  [ -n "$_row" ] || return 1
  STATE=${_row%%|*} _row=${_row#*|}
  [ "${_row%%|*}" = "$2" ] || return 1
  _row=${_row#*|}
  NODES=${_row%%|*} _row=${_row#*|}
  START=${_row%%|*} REASON=${_row#*|}
}
