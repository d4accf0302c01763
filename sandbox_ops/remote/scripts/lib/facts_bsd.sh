# shellcheck shell=sh
# What facts.sh reads, on a kernel without /proc as Linux has it: macOS and the BSDs, by `ps`,
# `sysctl` and perl. In the place of facts.sh in the library that such a machine gets; its
# functions have the same names and answer in the same variables.
# (Over 250 lines: one reader of one kernel, function by function beside facts.sh.)
#
# TOOLS is a folder beside the library: `facts` (facts_bsd.pl), which reads, and under their own
# names the tools that our scripts expect as GNU has them and a BSD lacks or knows otherwise. It
# is in our PATH alone: what the user runs never sees it.

case ${1-} in
  '') TOOLS=$HOME/.sandbox-ops/lib/${h-}.tools ;;
  facts) TOOLS=$2 ;;
  *) TOOLS=${0%.sh}.tools ;;
esac
FACTS=$TOOLS/facts
# what is a read of a file elsewhere is a program here
END_CS=200

# use_tools: from now on this shell finds them first. What prints bytes is not to look for letters
# in them; what the user runs gets the locale of the login again.
use_tools() {
  case :$PATH: in *":$TOOLS:"*) return 0 ;; esac
  PATH=$TOOLS:$PATH:/usr/sbin:/sbin LC_ALL=C
  export PATH LC_ALL
  LOGIN_ENV="unset LC_ALL
${LOGIN_ENV-}"
}

case ${1-} in '' | *shell*) ;; *) use_tools ;; esac # neither the login's shell nor a terminal's

# prepare_reader [again]: the tools are there and work; UNREADY says why not
prepare_reader() {
  _kernel=$(uname -s)
  [ "$_kernel" != Linux ] || {
    UNREADY='refused /proc is not mounted on this machine: mount it (mount -t proc proc /proc)'
    return
  }
  _perl=$(command -v perl) || {
    UNREADY="refused perl is missing on this machine, and $_kernel has no /proc that could be read instead: install it"
    return
  }
  "$FACTS" now >/dev/null 2>&1 || write_tools
  "$FACTS" now >/dev/null 2>&1 || {
    UNREADY="refused $_perl cannot run what reads this machine: $("$FACTS" now 2>&1 | head -n 1)"
    return
  }
  SETSID=$TOOLS/setsid
  [ -z "${1-}" ] || use_tools
}

# write_tools: TOOLS, whole or not at all
write_tools() {
  rm -rf "$TOOLS" "$TOOLS.$$"
  # shellcheck disable=SC2154 # scripts/__init__.py puts it before this file: facts_bsd.pl
  mkdir "$TOOLS.$$" &&
    printf '#!%s\n%s\n%s\n' "$_perl" "our \$KERNEL = \"$_kernel\";" "$FACTS_PROGRAM" >"$TOOLS.$$/facts" &&
    chmod 700 "$TOOLS.$$/facts" &&
    for _tool in dd df flock readlink setsid sha256sum stat timeout touch truncate; do
      ln -s facts "$TOOLS.$$/$_tool" || return
    done
  [ -d "$TOOLS" ] || mv "$TOOLS.$$" "$TOOLS"
} 2>/dev/null

now() {
  UP=$(exec "$FACTS" now) || UP=0
}

decimal() {
  NUMBER=$1
  while :; do
    case $NUMBER in 0?*) NUMBER=${NUMBER#0} ;; *) return 0 ;; esac
  done
}

node() {
  NODE=$(uname -n)
  case $NODE in '' | .* | *[!A-Za-z0-9._-]*) NODE=machine ;; esac
}

# the first is macOS's, the second FreeBSD's; when it was booted changes where the clock is set
machine_id() {
  node
  _boot=$(sysctl -n kern.bootsessionuuid 2>/dev/null) && [ -n "$_boot" ] ||
    _boot=$(sysctl -n kern.boot_id 2>/dev/null) && [ -n "$_boot" ] ||
    _boot=$(sysctl -n kern.boottime 2>/dev/null | sed 's/.*sec = \([0-9]*\).*/\1/' | tr -c 'A-Za-z0-9\n' -)
  case $_boot in '' | *[!A-Za-z0-9-]*) _boot=none ;; esac
  MACHINE=$_boot.0.none
}

read_uuid() {
  UUID=$("$FACTS" uuid)
}

# SID is the process group where `ps` does not tell the session (macOS, OpenBSD); TICKS count
# from the start of PID 1, in whole seconds
read_stat() {
  _stat=$(exec "$FACTS" stat "$1") || return 1
  # shellcheck disable=SC2086 # the fields are wanted apart
  set -- $_stat
  ITS=$1 STATE=$2 PARENT=$3 SID=$4 TICKS=$5
}

# same_start TICKS: within two seconds: a number is not given again so soon, and where the clock is
# set the kernel's own may round otherwise
same_start() {
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  _apart=$((TICKS - $1))
  [ ${_apart#-} -le 200 ]
}

has_process() {
  ps -p "$1" >/dev/null 2>&1
}

is_our_process() {
  [ "$(($(ps -o uid= -p "$1" 2>/dev/null)))" = "$(id -u)" ]
}

read_name() {
  NAME=$("$FACTS" name "$1") || NAME='?'
}

# which folder it is in, which signals it handles, and where it complains, only lsof could say
print_cwd() {
  :
}

print_caught() {
  :
}

mentions() {
  false
}

has_stderr_file() {
  false
}

print_programs() {
  exec "$FACTS" programs
}

print_cpu() {
  "$FACTS" cpu
}

# find_marked DIR: those whose environment `ps` shows and that have the marker, the leader, and
# who descends from one of them
find_marked() {
  MARKED=$("$FACTS" living "$1" "${LEADER-}" "${LTICKS-}")
}

find_living() {
  find_marked "$1"
  PIDS=$MARKED
}

is_marked() {
  "$FACTS" marked "$1" "${2-}"
}

find_session() {
  KIN=$("$FACTS" session "$1")
}

find_adopters() {
  ADOPTERS=' 1 '
}

# no kernel here says which number it gave last: all are looked at
list_newborn() {
  false
}

read_last_pid() {
  :
}

is_unsure() {
  false
}

is_any_starting() {
  false
}

# nobody says here what was killed for memory
find_oom_file() {
  OOM_FILE=/dev/null
}

count_cores() {
  [ -z "${CORES-}" ] || return 0
  CORES=$(getconf _NPROCESSORS_ONLN 2>/dev/null) || CORES=$(sysctl -n hw.ncpu 2>/dev/null)
  case $CORES in '' | *[!0-9]* | 0) CORES=1 ;; esac
}

is_listening() {
  netstat -an 2>/dev/null | grep -q "[.:]$1 .*LISTEN"
}

# print_load: as /proc/loadavg has them, then the number of processors
print_load() {
  count_cores
  printf '%s 0/0 0\n%s\n' "$(sysctl -n vm.loadavg | tr -d '{}')" "$CORES"
}

# keep_errors FILE: it keeps its name: what is opened already cannot be opened again here
keep_errors() {
  ERRORS=
  printf '' >"$1" || return 0
  ERRORS=$1
  exec 2>>"$1"
}

forget_errors() {
  [ -z "$ERRORS" ] || printf '' >"$ERRORS"
}

read_errors() {
  WHY=
  [ -z "$ERRORS" ] || while IFS= read -r _line; do WHY=${_line:-$WHY}; done <"$ERRORS"
}

remove_errors() {
  [ -z "${ERRORS-}" ] || rm -f "$ERRORS"
}

# with_opened FILE FUNCTION ARGUMENT...: a file of ours stands as long as FILE is not opened
with_opened() {
  _sign=$(mktemp "${TMPDIR:-/tmp}/sandbox-ops.XXXXXX") || return 1
  (
    command exec 8<"$1" || { rm -f "$_sign"; exit 79; }
    rm -f "$_sign"
    # shellcheck disable=SC2030 # for whom it calls
    NAMED=$1
    shift
    "$@"
    exit 0
  ) &
  _opener=$! _looks=0
  while [ -e "$_sign" ]; do
    _looks=$((_looks + 1))
    [ $_looks -lt 50 ] || { kill -s KILL $_opener; break; }
    sleep 0.02 2>/dev/null || { sleep 1; _looks=50; }
  done
  wait $_opener 2>/dev/null
  case $? in
    79 | 137)
      rm -f "$_sign"
      return 1
      ;;
  esac
}

# find_opened: REAL = where file 8 really is: macOS says it; else NAMED is resolved, and what is
# there has to be file 8
# shellcheck disable=SC2031 # with_opened runs this within it
find_opened() {
  # shellcheck disable=SC2034 # as on Linux; read by nobody here
  FILE=$NAMED
  REAL=$(exec "$FACTS" real "$NAMED" <&8)
  [ -n "$REAL" ] && "$FACTS" regular <&8
}

# reread COMMAND...: opened once more, if REAL still is file 8; a function of ours reads file 8
# itself, from its beginning
reread() {
  case $1 in
    exec) shift && exec "$FACTS" reopen "$REAL" "$@" <&8 ;;
    send_*) "$FACTS" rewind <&8 && "$@" <&8 ;;
    *) "$FACTS" reopen "$REAL" "$@" <&8 ;;
  esac
}

print_file_facts() {
  exec stat -L -c "$1" - <&8
}

is_opened_at() {
  "$FACTS" same "$1" <&8
}

# no kernel here says how far a file was read
read_offset() {
  false
}

run_opened() {
  eval "$(cat <&3)"
}

# read_held_state FILE: what was removed cannot be read here
read_held_state() {
  HELD_STATE=
  false
}
