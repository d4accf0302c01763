#!/bin/sh
# usage: doctor_look.sh WORKSPACE
#
# Says what a training needs of the machine and whether it is there.
set -eu

workspace=$1
writable=no there=no
if [ -d "$workspace" ]; then
  there=yes
  if probe=$(mktemp "$workspace/.sandbox-ops-probe.XXXXXX" 2>/dev/null); then
    writable=yes
    rm -f "$probe"
  fi
fi
first() { "$@" 2>/dev/null | head -n 1 || :; }
found() { command -v "$1" 2>/dev/null || :; }
printf '%s\n' "now=$(date +%s)" "user=$(id -un)" "hostname=$(uname -n)" \
  "kernel=$(uname -sr)" "path=$PATH" "home=$HOME" \
  "there=$there" "writable=$writable" "bash=$(found bash)" "uv=$(found uv)" \
  "python=$(found python3)" "git_lfs=$(found git-lfs)" "nvidia_smi=$(found nvidia-smi)"
[ -z "$(found git)" ] || echo "git=$(first git --version)"
[ -z "$(found python3)" ] || echo "python_version=$(first python3 --version)"
[ -z "$(found uv)" ] || echo "uv_version=$(first uv --version)"
