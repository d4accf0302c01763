# shellcheck shell=sh
# Looking at the machine itself: GPUs, disk, load, clock, processes that are not ours.

# look_gpu _: nvidia-smi as CSV, `gpus` and `gpu-processes`; or `no-gpu` and why
look_gpu() {
  if ! command -v nvidia-smi >/dev/null; then
    printf 'nvidia-smi is not installed'
    trailer no-gpu
    return
  fi
  _out=$(timeout 5 nvidia-smi --format=csv,noheader,nounits \
    --query-gpu=index,name,uuid,utilization.gpu,memory.used,memory.total,temperature.gpu,driver_version)
  _code=$?
  [ $_code = 0 ] || [ -n "$_out" ] || [ $_code = 124 ] ||
    _out=$(timeout 5 nvidia-smi 2>&1 >/dev/null | head -c 500)
  printf '%s' "$_out"
  if [ $_code != 0 ]; then
    [ $_code != 124 ] || printf 'nvidia-smi did not answer within 5 s'
    trailer no-gpu
    return
  fi
  trailer gpus
  timeout 5 nvidia-smi --format=csv,noheader,nounits \
    --query-compute-apps=gpu_uuid,pid,used_memory,process_name
  trailer gpu-processes
}

# look_disk PATH: of the nearest folder that exists
look_disk() {
  _path=$1
  while [ ! -d "$_path" ] && [ -n "$_path" ]; do _path=${_path%/*}; done
  df -Pk "${_path:-/}"
  printf '\n'
  df -Pi "${_path:-/}"
  trailer disk
}

look_load() {
  print_load
  trailer load
}

# look_clock _: the machine's seconds since 1970
look_clock() {
  date +%s
  trailer clock
}

# look_foreign _: `PID USER AGE_S COMMAND<tab>FOLDER` of what looks like training, not ours
look_foreign() {
  print_programs |
    grep -E '(python[0-9.]*|torchrun|accelerate|deepspeed) .*(train|finetune|torch\.distributed|launch)|tmux( |: server)|torchrun' |
    head -n 40 | while read -r _pid _user _age _args; do
    is_marked "$_pid" && continue
    case $_args in grep\ *) continue ;; esac
    printf '%s %s %s %s\t%s\n' "$_pid" "$_user" "$_age" "$_args" \
      "$(print_cwd "$_pid")"
  done
  trailer foreign
}
