# shellcheck shell=sh
# Runs over several nodes: what a job's supervisor knows of the others, and of its own launcher.

# read_first_failure: extra says which node ended first and badly, where it was another. Whoever
# ended this one for that wrote it down: `RANK MACHINE HOW`.
read_first_failure() {
  _rank='' _machine='' _how=''
  { read -r _rank _machine _how <"$dir/first_failure"; } 2>/dev/null
  case $_rank:$_machine:$_how in :* | *: | *::* | *[!A-Za-z0-9._:-]*) return 0 ;; esac
  extra="$extra first=$_rank:$_machine:$_how"
}

# read_node_attempt DIR: NODE_ATTEMPT = ` attempt=N`, where its launcher begins attempts
# (remote/node/attempts.py)
read_node_attempt() {
  NODE_ATTEMPT=''
  { read -r NODE_ATTEMPT <"$1/node_attempt"; } 2>/dev/null
  case $NODE_ATTEMPT in '' | *[!0-9]* | ??????*) NODE_ATTEMPT='' ;; *) NODE_ATTEMPT=" attempt=$NODE_ATTEMPT" ;; esac
}
