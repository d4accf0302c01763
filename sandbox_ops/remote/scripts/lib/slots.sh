# shellcheck shell=sh
# What a waiting job needs: GPUs and slots. A claim (BASE/claims/KEY.ID) says who has one;
# its words are how many may share it, and how much memory of the GPU the job counts on.
# None: it is claimed alone. (A little over 250 lines: one question, who has what.)

BUSY_PERCENT=10 # as workflows/preflight.py has them
BUSY_MIB=500

# forget_gpus: nothing is known of them yet
forget_gpus() {
  INDICES='' DEVICES='' N_DEVICES=0 look_at=0 look_pause=0 looked_for=''
}

# claim_room: GPUs and a slot for the job of this entry (_d _id _gpus _share _free_mib _slots);
# fails where there is no room, and takes nothing then
claim_room() {
  _chosen=''
  if [ "$_slots" != 0 ] && { [ -n "$slots_are_short" ] || ! has_slot; }; then
    slots_are_short=1
    return 1
  fi
  if [ "$_gpus" != 0 ] && { [ -n "$gpus_are_short" ] || ! choose_gpus; }; then
    gpus_are_short=1
    return 1
  fi
  for _index in $_chosen; do
    printf '%s\n' "$_share $_free_mib" >"$BASE/claims/gpu-$_index.$_id" && continue
    no_room_on_disk
    return 1
  done
  [ "$_slots" = 0 ] || printf '' >"$BASE/claims/slot.$_id" || { no_room_on_disk; return 1; }
  # a job that is started beside the queue marks first, and looks then, as we do
  for _index in $_chosen; do
    find_holders "gpu-$_index" "$_id"
    if [ $N_HOLDERS != 0 ] && { [ "$_share" = 1 ] || [ "$LEAST_SHARE" = 1 ]; }; then
      release "$_id"
      return 1
    fi
  done
  # shellcheck disable=SC2086 # numbers
  set -- $_chosen
  _joined=${1-}
  [ $# = 0 ] || shift
  for _index; do _joined=$_joined,$_index; done
  { printf '%s\n' "$_joined" && describe_chosen; } >"$_d/gpus" || { no_room_on_disk; return 1; }
}

# describe_chosen: prints each chosen device as JSON, a line each
describe_chosen() {
  while IFS=, read -r _index _name _uuid _; do
    _index=${_index# } _name=${_name# } _uuid=${_uuid# }
    case " $_chosen " in *" $_index "*) ;; *) continue ;; esac
    case $_name$_uuid in *[!A-Za-z0-9\ ._/:\(\)+-]*) _name='?' _uuid='?' ;; esac
    printf '{"index": %s, "name": "%s", "uuid": "%s"}\n' "$_index" "$_name" "$_uuid"
  done <<EOT
$DEVICES
EOT
}

no_room_on_disk() {
  release "$_id"
  write_wait disk
}

# find_holders KEY [ID]: HOLDERS = who has it beside ID, N_HOLDERS; LEAST_SHARE = how many all of
# them allow on it; RESERVED = the MiB that they count on
find_holders() {
  HOLDERS='' N_HOLDERS=0 LEAST_SHARE=1000 RESERVED=0
  for _mark in "$BASE/claims/$1".remote-*; do
    [ -e "$_mark" ] || continue
    _other=${_mark##*.}
    [ "$_other" != "${2-}" ] || continue
    if is_active "$JOBS/$_other" || left_processes "$JOBS/$_other"; then
      _allows=1 _mib=0
      read -r _allows _mib <"$_mark"
      HOLDERS="$HOLDERS $_other" N_HOLDERS=$((N_HOLDERS + 1)) RESERVED=$((RESERVED + ${_mib:-0}))
      [ "${_allows:-1}" -ge "$LEAST_SHARE" ] || LEAST_SHARE=${_allows:-1}
    elif [ "$LIFE" != elsewhere ]; then
      rm -f "$_mark"
    fi
  done
}

# left_processes DIR: it is over, and processes of it live, which may use what it claimed; after
# is_active
left_processes() {
  [ "$WHERE" = "$MACHINE" ] || return 1
  case $PHASE.$SURVIVORS in
    ended.0) return 1 ;;
    ended.*) [ ! -e "$1/quiet" ] || return 1 ;;
  esac
  find_last_members "$1"
  [ -n "$PIDS" ]
}

# has_slot: fewer jobs of the queue run than this one allows
has_slot() {
  find_holders slot "$_id"
  _most=$_slots
  [ "$_most" != cores ] || { count_cores && _most=$CORES; }
  [ $N_HOLDERS -lt "$_most" ] && return 0
  {
    printf 'limit %s\n' "$_most"
    for _other in $HOLDERS; do printf 'job - %s\n' "$_other"; done
  } >"$QUEUE/slot"
  return 1
}

# choose_gpus: _chosen = so many that fit, those with the fewest jobs first; fails where there are too few,
# and QUEUE/gpu says why
choose_gpus() {
  list_claimable
  if [ -n "$INDICES" ] && [ "$N_CLAIMABLE" -lt "$_gpus" ]; then
    explain_gpus "$CLAIMED"
    return 1
  fi
  if [ -z "$was_read" ]; then
    if [ "$UP" -lt "$look_at" ] && [ "$looked_for" = "$CLAIMABLE" ]; then
      [ "$look_at" -ge "$next_look" ] || next_look=$look_at
      return 1
    fi
    read_gpus || { explain_gpus "error $PROBLEM"; look_later; return 1; }
    list_claimable
  fi
  _chosen='' _number=0 _why=$CLAIMED _level=0
  while [ $_level -lt "$_share" ] && [ $_number -lt "$_gpus" ]; do
    fit_devices
    _level=$((_level + 1))
  done
  if [ $_number -lt "$_gpus" ]; then
    [ "$N_DEVICES" -ge "$_gpus" ] || _why="few $N_DEVICES $_gpus
$_why"
    explain_gpus "$_why"
    look_later
    return 1
  fi
  look_pause=0 look_at=0
}

# fit_devices: adds to _chosen those with _level jobs on them
fit_devices() {
  while IFS=, read -r _index _ _uuid _util _used _total _; do
    _index=${_index# } _uuid=${_uuid# }
    case " $_chosen " in *" $_index "*) continue ;; esac
    case " $CLAIMABLE " in *" $_index:$_level "*) ;; *) continue ;; esac
    [ $_number -lt "$_gpus" ] || return 0
    fits || continue
    _chosen="$_chosen $_index" _number=$((_number + 1))
  done <<EOT
$DEVICES
EOT
}

# fits: nothing else uses this device, and there is memory; else _why has a line more
fits() {
  whole "$_util"
  _util=$WHOLE
  whole "$_used"
  _used=$WHOLE
  whole "$_total"
  _total=$WHOLE
  _reason=
  find_stranger
  if [ -n "$STRANGER" ]; then
    _reason="process $_index $STRANGER"
  elif [ $_level = 0 ] && [ "$_used" -gt $BUSY_MIB ]; then
    _reason="memory $_index $_used"
  elif [ $_level = 0 ] && [ "$_util" -gt $BUSY_PERCENT ]; then
    _reason="busy $_index $_util"
  elif [ "$_free_mib" != 0 ]; then
    find_holders "gpu-$_index" "$_id"
    [ "$RESERVED" -le "$_used" ] || _used=$RESERVED
    [ $((_total - _used)) -ge "$_free_mib" ] || _reason="free $_index $((_total - _used))"
  fi
  [ -n "$_reason" ] || return 0
  _why="$_why
$_reason"
  return 1
}

# whole TEXT: WHOLE = the number that it is; what a driver does not say is 0
whole() {
  WHOLE=${1# }
  WHOLE=${WHOLE%%[ .]*}
  case $WHOLE in '' | *[!0-9]*) WHOLE=0 ;; esac
}

# find_stranger: STRANGER = pid and name of a process on the device _uuid that is none of the jobs that have
# it. A pid that is none here is another container's: it is a stranger on a GPU that no job has.
find_stranger() {
  STRANGER=
  while IFS=, read -r _on _pid _ _program; do
    [ "${_on# }" = "$_uuid" ] || continue
    _pid=${_pid# } _program=${_program# }
    case $_pid in '' | *[!0-9]*) continue ;; esac
    if [ $_level != 0 ]; then
      has_process "$_pid" || continue
      is_marked "$_pid" "$JOBS/" && continue
    fi
    STRANGER="$_pid ${_program##*/}"
    return 0
  done <<EOT
$PROCESSES
EOT
}

# list_claimable: CLAIMABLE = `INDEX:JOBS` of devices that this job may claim, N_CLAIMABLE; CLAIMED = lines
# of the others
list_claimable() {
  CLAIMABLE='' N_CLAIMABLE=0 CLAIMED=
  for _index in $INDICES; do
    find_holders "gpu-$_index" "$_id"
    if [ $N_HOLDERS = 0 ] || { [ $N_HOLDERS -lt "$_share" ] && [ $N_HOLDERS -lt "$LEAST_SHARE" ]; }; then
      CLAIMABLE="$CLAIMABLE $_index:$N_HOLDERS" N_CLAIMABLE=$((N_CLAIMABLE + 1))
    else
      CLAIMED="$CLAIMED
job $_index$HOLDERS"
    fi
  done
}

# read_gpus: DEVICES PROCESSES INDICES N_DEVICES, once a round; fails with PROBLEM
read_gpus() {
  PROBLEM='nvidia-smi is not installed'
  command -v nvidia-smi >/dev/null || return 1
  DEVICES=$(timeout 5 nvidia-smi --format=csv,noheader,nounits \
    --query-gpu=index,name,uuid,utilization.gpu,memory.used,memory.total,temperature.gpu,driver_version) ||
    { PROBLEM='nvidia-smi did not answer, or failed'; return 1; }
  PROCESSES=$(timeout 5 nvidia-smi --format=csv,noheader,nounits \
    --query-compute-apps=gpu_uuid,pid,used_memory,process_name) ||
    { PROBLEM='nvidia-smi did not answer, or failed'; return 1; }
  INDICES='' N_DEVICES=0 was_read=1
  while IFS=, read -r _index _; do
    case $_index in '' | *[!0-9]*) continue ;; esac
    INDICES="$INDICES $_index" N_DEVICES=$((N_DEVICES + 1))
  done <<EOT
$DEVICES
EOT
}

# look_later: at the same GPUs, further apart each time: to ask the driver is not cheap
look_later() {
  looked_for=$CLAIMABLE
  look_pause=$((look_pause * 2))
  [ $look_pause -ge 200 ] || look_pause=200
  [ $look_pause -le 3000 ] || look_pause=3000
  look_at=$((UP + look_pause))
  [ "$look_at" -ge "$next_look" ] || next_look=$look_at
}

# explain_gpus LINES: for who asks what a job waits for
explain_gpus() {
  _was=
  [ ! -e "$QUEUE/gpu" ] || _was=$(cat "$QUEUE/gpu")
  [ "$_was" = "$1" ] || printf '%s\n' "$1" >"$QUEUE/gpu"
}
