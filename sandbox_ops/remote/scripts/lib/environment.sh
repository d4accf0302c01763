# shellcheck shell=sh
# The project's environment: what `setup` made is in front of PATH for everything that runs in the
# project. What a command activates itself comes later, and wins. `shell` reads this file, too.

# read_environment FILE: as the job's folder says: the project's folder, then folders for PATH, a
# line each; ENV_PATH VENV CONDA, as below, empty where there is no such file
read_environment() {
  ENV_PATH='' VENV='' CONDA=''
  [ -e "$1" ] || return 0
  set -- "$1"
  while IFS= read -r _line; do set -- "$@" "$_line"; done <"$1"
  shift
  find_environment "$@"
}

# find_environment ROOT [FOLDER]...: ENV_PATH = what comes first in PATH: the FOLDERs (~ is the
# home, relative ones are below ROOT), then the environment's programs; VENV or CONDA = where it is
find_environment() {
  ENV_PATH='' VENV='' CONDA='' _root=$1
  shift
  for _folder; do
    # shellcheck disable=SC2088 # as it is written in the configuration
    case $_folder in
      /*) ;;
      '~/'*) _folder=$HOME/${_folder#??} ;;
      *) _folder=$_root/$_folder ;;
    esac
    ENV_PATH=$ENV_PATH$_folder:
  done
  for _folder in .venv venv env .conda .pixi/envs/default; do
    [ -x "$_root/$_folder/bin/python" ] || continue
    if [ -d "$_root/$_folder/conda-meta" ]; then
      CONDA=$_root/$_folder
    elif [ -f "$_root/$_folder/pyvenv.cfg" ]; then
      VENV=$_root/$_folder
    else
      continue
    fi
    break
  done
  [ -n "$VENV$CONDA" ] || find_named_environment
  ENV_PATH=$ENV_PATH${VENV:+$VENV/bin:}${CONDA:+$CONDA/bin:}
}

# find_named_environment: CONDA = the environment of the name that environment.yml has, without conda,
# which takes a second to say so
find_named_environment() {
  _name=
  for _file in "$_root/environment.yml" "$_root/environment.yaml"; do
    [ ! -f "$_file" ] ||
      _name=$(sed -n 's/^name: *["'\'']*\([A-Za-z0-9._-]*\).*/\1/p' "$_file" | head -n 1)
  done
  [ -n "$_name" ] || return 0
  for _folder in "${CONDA_EXE:+${CONDA_EXE%/*/*}}" "${MAMBA_ROOT_PREFIX-}" "$HOME/.conda" \
    "$HOME/miniconda3" "$HOME/miniforge3" "$HOME/mambaforge" "$HOME/anaconda3" \
    "$HOME/micromamba" /opt/conda /opt/miniconda3; do
    [ -n "$_folder" ] && [ -d "$_folder/envs/$_name/conda-meta" ] || continue
    CONDA=$_folder/envs/$_name
    return 0
  done
}

# use_environment ENV_PATH VENV CONDA: by arguments alone: other variables are the user's by now
use_environment() {
  [ -z "$1" ] || export PATH="$1$PATH"
  if [ -n "$2" ]; then
    export VIRTUAL_ENV="$2"
    unset PYTHONHOME CONDA_PREFIX CONDA_DEFAULT_ENV
  elif [ -n "$3" ]; then
    export CONDA_PREFIX="$3" CONDA_DEFAULT_ENV="$3"
    unset PYTHONHOME VIRTUAL_ENV
  fi
}

# project_shell ROOT FOLDERS [NAME=VALUE]...: a terminal's shell in the project: the user's login
# shell with these variables, the FOLDERS (colons between them) and the environment first in PATH
project_shell() {
  export SHELL="${SHELL:-/bin/sh}" # a container's environment may have none
  case $SHELL in *csh) exec "$SHELL" -l ;; esac # which takes no -l beside a -c
  _words=
  for _word; do
    _words="$_words '$(printf %s "$_word" | sed "s/'/'\\\\''/g")'"
  done
  export SANDBOX_SHELL="SANDBOX_OPS_SH='$SH' exec $SH '$LIBRARY' shell_after_login$_words"
  # shellcheck disable=SC2016 # for that shell to expand, whichever it is
  exec "$SHELL" -l -c 'exec sh -c "$SANDBOX_SHELL"'
}

# shell_after_login ...: the same, in the environment of a login
shell_after_login() {
  _root=$1 _folders=$2
  shift 2
  unset SANDBOX_SHELL
  for _word; do export "${_word?}"; done
  set -f
  IFS=:
  # shellcheck disable=SC2086 # cut at the colons
  set -- $_folders
  set +f
  unset IFS
  find_environment "$_root" "$@"
  use_environment "$ENV_PATH" "$VENV" "$CONDA"
  case $SHELL in
    *bash) # a .bashrc may put another environment first
      _file=$HOME/.sandbox-ops/bashrc
      # shellcheck disable=SC2016
      printf '%s\n' '[ ! -f ~/.bashrc ] || . ~/.bashrc' 'PATH=$SANDBOX_PATH$PATH' \
        'unset SANDBOX_PATH' >"$_file.$$" && mv -f "$_file.$$" "$_file" &&
        SANDBOX_PATH=$ENV_PATH exec "$SHELL" --rcfile "$_file" -i
      ;;
  esac
  exec "$SHELL" -i
}
