# shellcheck shell=sh
# Where our jobs stand among all that wait for their partition, of all users: in the order of Slurm's
# priority, without those that could not begin now (held, too early, after another). Asked for
# seldom: it is a long answer on a large cluster. Nothing is said where others' jobs are private.

PLACES_AGE=3000 # so old, in centiseconds, may be what Slurm said of the jobs of all

# find_place: PLACE = `place N TOTAL PARTITION` of _number, or nothing
find_place() {
  PLACE=
  case $REASON in Dependency* | BeginTime | JobHeld*) return 0 ;; esac
  read_places
  eval "PLACE=\${PLACE_$_number-}"
}

# read_places: PLACE_ID = of each of our jobs that waits
read_places() {
  now
  [ -z "${PLACES_AT-}" ] || [ $((UP - PLACES_AT)) -gt $PLACES_AGE ] || return 0
  PLACES_AT=$UP _when='' _where=''
  [ ! -f "$BASE/places" ] || { read -r _when _where <"$BASE/places"; } 2>/dev/null
  case $_when in '' | *[!0-9]*) _when=-$PLACES_AGE ;; esac
  if [ "$_where" = "$MACHINE" ] && [ $((UP - _when)) -le $PLACES_AGE ]; then
    PLACES_AT=$_when
  else
    { printf '%s\n' "$UP $MACHINE" && ask_places; } >"$BASE/places.$NODE.$MYSELF" &&
      mv -f "$BASE/places.$NODE.$MYSELF" "$BASE/places"
  fi
  [ -f "$BASE/places" ] || return 0
  while read -r _row _rest; do
    case $_row in '' | *[!0-9]*) continue ;; esac
    case $_rest in place\ *) eval "PLACE_$_row=\$_rest" ;; esac
  done <"$BASE/places"
}

# ask_places: prints `ID place N TOTAL PARTITION` of each of our jobs that waits
ask_places() {
  [ -n "${OTHERS-}" ] || case $(timeout $SLURM_ANSWER scontrol show config 2>/dev/null </dev/null | grep '^PrivateData ') in
    *jobs*) OTHERS=private ;;
    *) OTHERS=shown ;;
  esac
  [ "$OTHERS" = shown ] || return 0
  list_squeue -t PENDING -S '-Q,i' -o '%i|%P|%r' 2>/dev/null |
    awk -F '|' -v "ours=$ROW_IDS " '
      $3 ~ /^(Dependency|BeginTime|JobHeld)/ { next }
      {
        count = split($2, partitions, ",")
        for (i = 1; i <= count; i++) total[partitions[i]]++
        if (index(ours, " " $1 " ")) { first[$1] = partitions[1]; place[$1] = total[partitions[1]] }
      }
      END { for (id in place) print id, "place", place[id], total[first[id]], first[id] }'
}
