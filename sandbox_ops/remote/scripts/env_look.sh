#!/bin/sh
# usage: env_look.sh PATH PLAN RECORD INPUTS [FILE...]
#
# Says what the project at PATH needs and what the machine has, and a fingerprint of all
# that its environment depends on: PLAN (a digest of the configured commands), the files
# that declare dependencies, FILEs, tracked ones that the patterns INPUTS (a line each) name, and
# the python. With RECORD `yes` that is written
# down as what is installed now. Says `recorded=` as it was written down last.
# uses: with_opened sha256sum
set -eu

cd "$1"
plan=$2 record=$3 inputs=$4
shift 4
recorded_in=$(git rev-parse --git-path sandbox-ops-environment)

input_sums() { # of the files that the patterns name
  set -f
  IFS='
'
  set --
  for pattern in $inputs; do set -- "$@" ":(top,glob)$pattern"; done
  git ls-files -z -- "$@" | xargs -0 sha256sum
}
has() { [ -f "$1" ] && echo yes || echo no; }
version() { "$@" 2>/dev/null | head -n 1; }
uv=$(command -v uv || :)
python=$(command -v python3 || :)
conda=$(command -v micromamba || command -v mamba || command -v conda || :)
python_version=
[ -z "$python" ] || python_version=$(version "$python" --version)
# of file 8, which is the file by that name
builds_itself() { grep -q -e '^\[project\]' -e '^\[build-system\]' -e '^\[tool\.poetry\]' <&8 && echo yes; }
checksum() { printf '%s %s\n' "$(sha256sum <&8)" "$1"; }
builds=no # a pyproject.toml may hold nothing but the settings of tools
[ ! -f pyproject.toml ] || [ -z "$(with_opened pyproject.toml builds_itself)" ] || builds=yes
[ ! -f setup.py ] || builds=yes

fingerprint=$(
  {
    printf '%s\n' "$plan" "$python_version"
    for file in uv.lock environment.yml requirements.txt pyproject.toml setup.py setup.cfg \
      .python-version .venv/pyvenv.cfg "$@"; do
      [ ! -f "$file" ] || with_opened "$file" checksum "$file" || :
    done
    [ -z "$inputs" ] || input_sums
  } | sha256sum | cut -c 1-64
)
recorded=
[ ! -f "$recorded_in" ] || recorded=$(head -n 1 "$recorded_in")
[ "$record" != yes ] || printf '%s\n' "$fingerprint" >"$recorded_in"

logs=no
[ ! -d logs ] || ! git check-ignore -q logs/x || logs=yes
driver=
[ ! -r /proc/driver/nvidia/version ] ||
  driver=$(sed -n 's/^NVRM.* \([0-9][0-9.]*\)  .*/\1/p' /proc/driver/nvidia/version)
venv_version() { sed -n 's/^version[_info]* *= *//p' <&8 | head -n 1; }
venv_python=
[ ! -f .venv/pyvenv.cfg ] || venv_python=$(with_opened .venv/pyvenv.cfg venv_version) || :

printf '%s\n' "uv_lock=$(has uv.lock)" "requirements=$(has requirements.txt)" \
  "conda_file=$(has environment.yml)" "conda=$conda" \
  "builds=$builds" "uv=$uv" "python=$python" "python_version=${venv_python:-$python_version}" \
  "fingerprint=$fingerprint" "recorded=$recorded" "logs=$logs" \
  "driver=$driver" "hostname=$(uname -n)"
