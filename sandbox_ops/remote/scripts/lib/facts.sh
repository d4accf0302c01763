# shellcheck shell=sh
# What the kernel says of processes, of this machine and of opened files: all that the library
# and our scripts read there, from /proc as Linux has it. Nobody else reads /proc.
#
# A script names what it uses of this file (`# uses: FUNCTION...`), so a function here calls
# only others of this file. Where a comment says "for $( )", it becomes the program that prints.
# (Over 250 lines: one reader of one kernel; another kernel needs another whole file.)

# so many centiseconds a supervisor takes to look around and write the end
END_CS=20

# prepare_reader [again]: what is needed to read all this is there; UNREADY says why not. In a
# worker, `again`, it is used from now on.
prepare_reader() {
  :
}

# now: UP = centiseconds since boot (the one clock that nobody sets). A number that begins
# with 0 is octal to the shell, and `098` an error that ends it; old lxcfs has one digit
# after the point.
now() {
  read -r UP _ </proc/uptime
  case $UP in
    *.??) UP=${UP%.*}${UP#*.} ;;
    *.?) UP=${UP%.*}${UP#*.}0 ;;
    *) UP=${UP%.*}00 ;;
  esac
  decimal "$UP"
  UP=$NUMBER
}

# decimal DIGITS: NUMBER = the same without leading zeros
decimal() {
  NUMBER=$1
  while :; do
    case $NUMBER in 0?*) NUMBER=${NUMBER#0} ;; *) return 0 ;; esac
  done
}

# node: NODE = what this machine calls itself: for people, and it may change
node() {
  NODE=''
  { read -r NODE </proc/sys/kernel/hostname; } 2>/dev/null
  case $NODE in '' | .* | *[!A-Za-z0-9._-]*) NODE=machine ;; esac
}

# machine_id: MACHINE = what tells this life of this machine from every other; NODE
machine_id() {
  node
  read -r _boot 2>/dev/null </proc/sys/kernel/random/boot_id || _boot=none
  read_stat 1 || TICKS=0
  _ns=$(readlink /proc/self/ns/pid 2>/dev/null) || _ns=none
  _ns=${_ns#pid:[}
  MACHINE=$_boot.$TICKS.${_ns%]}
}

# read_uuid: UUID = a new one
read_uuid() {
  read -r UUID </proc/sys/kernel/random/uuid
}

# read_stat PID: ITS STATE PARENT SID TICKS of a process (ITS: its pid, for `self`), as proc(5)
# has them; fails if it is gone
read_stat() {
  _stat=
  while IFS= read -r _line; do _stat="$_stat $_line"; done 2>/dev/null <"/proc/$1/stat" || return 1
  ITS=${_stat%% (*}
  ITS=${ITS# }
  _rest=${_stat#*) }
  # the name before it may hold anything, ')' too; to cut at the last one takes far longer
  case $_rest in *\)*) _rest=${_stat##*) } ;; esac
  # shellcheck disable=SC2086 # the fields are wanted apart
  set -- $_rest
  [ $# -ge 20 ] || return 1
  STATE=$1 PARENT=$2 SID=$4 TICKS=${20}
}

# same_start TICKS: the process of read_stat is the one that was noted with these
same_start() {
  [ "$TICKS" = "$1" ]
}

# has_process PID: there is one of that number
has_process() {
  [ -e "/proc/$1" ]
}

# is_our_process PID: it runs as us
is_our_process() {
  # shellcheck disable=SC3067 # dash, bash and busybox all have it
  [ -O "/proc/$1" ]
}

# read_name PID: NAME of a process, or ?
read_name() {
  NAME='?'
  { read -r NAME <"/proc/$1/comm"; } 2>/dev/null
}

# print_cwd PID: for $( )
print_cwd() {
  exec readlink "/proc/$1/cwd" 2>/dev/null
}

# print_caught PID: the mask of signals that it handles, in hex; for $( )
print_caught() {
  exec sed -n 's/^SigCgt:[^0-9a-f]*//p' "/proc/$1/status" 2>/dev/null
}

# mentions PID WORD: the text of that bash has it: its command line, or the script that it has
# open as file 255
mentions() {
  grep -qs -e "$2" "/proc/$1/cmdline" || { [ -f "/proc/$1/fd/255" ] && grep -qs -e "$2" "/proc/$1/fd/255"; }
}

# has_stderr_file PID: it complains into a file of that name, as foreground jobs do
has_stderr_file() {
  case $(readlink "/proc/$1/fd/2") in */stderr*) ;; *) false ;; esac
}

# print_programs: PID USER AGE_S COMMAND of every process; for a pipe
print_programs() {
  exec ps -eo pid=,user=,etimes=,args= 2>/dev/null
}

# print_cpu: of every process, by pid, the fields of proc(5) without its name: pid, state,
# parent, group, session, five others, four more, and centiseconds of the CPU: user, system,
# those of its children. A name may hold anything.
print_cpu() {
  cat /proc/[0-9]*/stat 2>/dev/null | LC_ALL=C sed -n 's/^\([0-9]*\) (.*) \([A-Za-z] [0-9 -]*\)$/\1 \2/p' | sort -n
}

# knows_z: whether grep does: lines that end in NUL (tried once)
knows_z() {
  [ -n "${GREP_Z-}" ] || { GREP_Z=no; printf 'a\0b\0' | grep -qzxF b 2>/dev/null && GREP_Z=yes; }
  [ "$GREP_Z" = yes ]
}

# find_marked DIR [PID...]: MARKED = those of them, or of all, whose environment holds the
# job's marker. Only what we may read.
find_marked() {
  _mark=SANDBOX_JOB=$1 _environs='' MARKED=
  shift
  for _p; do _environs="$_environs /proc/$_p/environ"; done
  # shellcheck disable=SC2086 # paths without blanks
  set -- ${_environs:-/proc/[0-9]*/environ}
  if knows_z; then
    _files=$(grep -lzxFs "$_mark" "$@" 2>/dev/null)
  else
    _files=
    for _file in "$@"; do
      tr '\000' '\n' 2>/dev/null <"$_file" | grep -qxF "$_mark" && _files="$_files $_file"
    done
  fi
  for _file in $_files; do
    _p=${_file#/proc/}
    MARKED="$MARKED ${_p%/environ}"
  done
}

# find_living DIR: PIDS = those of all that live
find_living() {
  find_marked "$1"
  PIDS=
  for _p in $MARKED; do
    read_stat "$_p" && [ "$STATE" != Z ] && PIDS="$PIDS $_p"
  done
}

# is_marked PID [FOLDER]: it belongs to a job of ours, whose record is in FOLDER
is_marked() {
  if knows_z; then
    grep -qzs "^SANDBOX_JOB=${2-}" "/proc/$1/environ" 2>/dev/null
  else
    tr '\000' '\n' 2>/dev/null <"/proc/$1/environ" | grep -q "^SANDBOX_JOB=${2-}"
  fi
}

# find_session LEADER: KIN = PID:TICKS of each live process in that session
find_session() {
  KIN=
  for _file in /proc/[0-9]*/stat; do
    _p=${_file#/proc/}
    _p=${_p%/stat}
    read_stat "$_p" && [ "$SID" = "$1" ] && [ "$STATE" != Z ] && KIN="$KIN $_p:$TICKS"
  done
}

# find_adopters: ADOPTERS = those above us, one of whom adopts who loses its parent: PID 1, or
# a nearer subreaper (prctl(2))
find_adopters() {
  ADOPTERS=' 1 ' PARENT=$$
  while read_stat "$PARENT" && [ "$PARENT" -gt 1 ]; do ADOPTERS="$ADOPTERS$PARENT "; done
}

# list_newborn: _born = who was born since the process _base, but for those of the leader's session,
# who are counted in `left`; _orphans = those of them that lost their parent, as the leader's own
# children did: without one, nobody is left. Fails where it would be too many to look at.
list_newborn() {
  _p=$_base _last=0
  while read -r _ _ _ _ _now </proc/loadavg && [ "$_now" != "$_last" ]; do
    _last=$_now
    [ "$_last" -ge "$_base" ] && [ $((_last - _base)) -le 300 ] || return 1
    while [ "$_p" -lt "$_last" ]; do
      _p=$((_p + 1))
      [ -r "/proc/$_p/environ" ] && read_stat "$_p" && [ "$STATE" != Z ] || continue
      if [ "$SID" = "$leader" ]; then
        left=$((left + 1)) # marked or not, or just becoming a program
        continue
      fi
      _born="$_born $_p"
      case $ADOPTERS in *" $PARENT "*) _orphans="$_orphans $_p" ;; esac
    done
  done
}

# read_last_pid: _base = the number that the kernel gave last
read_last_pid() {
  read -r _ _ _ _ _base </proc/loadavg
}

# is_unsure: an orphan went while we looked, or all are unmarked and one has no environment:
# who is just becoming a program has none yet
is_unsure() {
  for _p in $_orphans; do
    [ -e "/proc/$_p" ] || return 0
    [ "$left" = 0 ] || continue
    _environ=
    read -r _environ <"/proc/$_p/environ"
    [ -n "$_environ" ] || return 0
  done
  return 1
}

# is_any_starting: one of ours that was born since the leader is just becoming a program: it has no
# environment yet, and may be the job's
is_any_starting() {
  # shellcheck disable=SC2013 # names without blanks
  for _file in $(grep -Ls '' /proc/[0-9]*/environ 2>/dev/null); do
    _p=${_file#/proc/}
    _p=${_p%/environ}
    read_stat "$_p" && [ "$STATE" != Z ] && [ "$PARENT" != 2 ] && [ "$TICKS" -ge "$lticks" ] &&
      is_our_process "$_p" && return 0
  done
  return 1
}

# find_oom_file: OOM_FILE = where the kernel counts for us what it killed for memory
find_oom_file() {
  OOM_FILE=/dev/null
  while IFS=: read -r _n _c _path; do
    case $_n:$_c in
      0:*) _file=/sys/fs/cgroup$_path/memory.events ;;
      *:memory) _file=/sys/fs/cgroup/memory$_path/memory.oom_control ;;
      *) continue ;;
    esac
    [ ! -r "$_file" ] || OOM_FILE=$_file
  done 2>/dev/null </proc/self/cgroup
}

# count_cores: CORES = those that we may use; a container's limit counts
count_cores() {
  [ -z "${CORES-}" ] || return 0
  CORES=$(nproc 2>/dev/null) || CORES=$(grep -c '^processor' /proc/cpuinfo)
  case $CORES in '' | *[!0-9]* | 0) CORES=1 ;; esac
  _quota=max _period=100000
  { read -r _quota _period </sys/fs/cgroup/cpu.max; } 2>/dev/null || {
    read -r _quota </sys/fs/cgroup/cpu/cpu.cfs_quota_us
    read -r _period </sys/fs/cgroup/cpu/cpu.cfs_period_us
  } 2>/dev/null
  case $_quota in '' | *[!0-9]*) return 0 ;; esac
  _limit=$(((_quota + _period - 1) / _period))
  [ "$_limit" -ge "$CORES" ] || [ "$_limit" -lt 1 ] || CORES=$_limit
}

# is_listening PORT: a program of this machine listens there
is_listening() {
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | grep -q "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$1") [0-9A-F]*:0000 0A"
}

# print_load: the averages, then the number of processors
print_load() {
  cat /proc/loadavg
  grep -c '^processor' /proc/cpuinfo
}

# keep_errors FILE: stderr goes to a file without a name, for `read_errors` and `forget_errors`
keep_errors() {
  printf '' >"$1" || return 0
  exec 2>>"$1"
  rm -f "$1"
}

# forget_errors: what was complained about before is nobody's any more
forget_errors() {
  printf '' >/proc/self/fd/2
}

# read_errors: WHY = the last words there
read_errors() {
  WHY=
  while IFS= read -r _line; do WHY=${_line:-$WHY}; done </proc/self/fd/2
}

# remove_errors: this shell ends
remove_errors() {
  :
}

# with_opened FILE FUNCTION ARGUMENT...: calls it with FILE opened as file 8, in a process of
# its own. A name that was checked may be a pipe's by now, and to open that waits for its
# writer: who has not opened it within a second is killed. Fails where it was not opened.
with_opened() {
  (
    command exec 8<"$1" || exit 79
    shift
    "$@"
    exit 0
  ) &
  _opener=$! _looks=0
  until [ -e "/proc/$_opener/fd/8" ]; do
    _life=Z
    { read -r _ _ _life _; } 2>/dev/null <"/proc/$_opener/stat"
    [ "$_life" != Z ] || break
    _looks=$((_looks + 1))
    [ $_looks -gt 200 ] || continue # it is on its way: less than a sleep would take
    [ $_looks -lt 250 ] || { kill -s KILL $_opener; break; }
    sleep 0.02 2>/dev/null || { sleep 1; _looks=250; }
  done
  wait $_opener 2>/dev/null
  case $? in 79 | 137) return 1 ;; esac
}

# find_opened: REAL = where file 8 really is, FILE = what `reread` opens again; whether it is a
# file that has an end
find_opened() {
  FILE=/proc/self/fd/8
  REAL=$(readlink $FILE 2>/dev/null) || REAL=
  [ -f $FILE ]
}

# reread COMMAND...: with FILE, from its beginning, as its input; `reread exec` in a pipe
reread() {
  "$@" <"$FILE"
}

# print_file_facts FORMAT: of FILE, as stat(1) has them; for $( )
print_file_facts() {
  exec stat -L -c "$1" "$FILE"
}

# is_opened_at FILE: file 8 is the one of that name
is_opened_at() {
  # shellcheck disable=SC3013 # dash, bash and busybox all have it
  [ "$1" -ef /proc/self/fd/8 ]
}

# read_held_state FILE: HELD_STATE = the first line of that file, which was removed, of a process
# that has it open as file 8
read_held_state() {
  HELD_STATE=
  # shellcheck disable=SC2012 # where they lead, and no readlink for each
  _links=$(ls -l /proc/[0-9]*/fd/8 2>/dev/null)
  while IFS= read -r _line; do
    case $_line in
      *" -> $1 (deleted)")
        _p=${_line%%"/fd/8 -> "*}
        { IFS= read -r HELD_STATE <"/proc/${_p##*/proc/}/fd/8"; } 2>/dev/null && return 0
        ;;
    esac
  done <<EOF
$_links
EOF
  return 1
}

# read_offset: OFFSET = how far file 3 was read, in bytes
read_offset() {
  read -r _ OFFSET </proc/self/fdinfo/3
}

# run_opened: what file 3 holds, as shell text
run_opened() {
  # shellcheck source=/dev/null
  . /proc/self/fd/3
}
