# shellcheck shell=sh
# At most so many jobs of a sweep at once, as `%N` of a job array has it: N chains, whose next job
# begins when the one before it in its chain has ended, however it did. Slurm holds them: nobody of
# ours has to be there.

CHAIN_LINKS=4 # so many of those before it a job waits for: one that waits may be cancelled

# write_chain DIR: how many jobs of which group may run at once; nothing where that was not said
write_chain() {
  case $_group.$_slots in .* | *.0 | *[!0-9]) return 0 ;; esac
  printf '%s\n' "$_slots $_group" >"$1/slurm.chain" && [ -s "$1/slurm.chain" ]
}

# find_chain DIR: CHAIN = the numbers in Slurm of the jobs before it in its chain that have not
# ended, with colons between
find_chain() {
  CHAIN='' _width='' _of=''
  { read -r _width _of <"$1/slurm.chain"; } 2>/dev/null || return 0
  case $_width:$_of in *[!0-9]*:* | :* | *: | */*) return 0 ;; esac
  for _other in $(list_chain "${1##*/}" "$_width" "$_of"); do
    case $_other in remote-*[!0-9]* | remote-) continue ;; remote-*) ;; *) continue ;; esac
    has_plain_files "$JOBS/$_other" && get_state "$JOBS/$_other" && [ "$PHASE" != ended ] || continue
    _number=
    { read -r _number _ <"$JOBS/$_other/slurm.id"; } 2>/dev/null
    [ -z "$_number" ] || CHAIN=$CHAIN${CHAIN:+:}$_number
  done
}

# list_chain ID WIDTH GROUP: prints the jobs before it in its chain, the newest first
list_chain() {
  awk -v own="$1" -v width="$2" -v most=$CHAIN_LINKS '
    $1 == "then" { next }
    $2 == own { exit }
    { ids[++count] = $2 }
    END { for (i = count + 1 - width; i > 0 && most > 0; i -= width) { print ids[i]; most-- } }' "$BASE/groups/$3"
}
