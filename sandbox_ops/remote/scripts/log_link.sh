#!/bin/sh
# usage: log_link.sh PATH [NAME LOG]...
#
# Makes PATH/logs, with each NAME.log in it a link to LOG. Git is told not to look at what we
# put into the tree. Says `changed=yes|no`.
# uses: fail refuse
set -eu

cd "$1"
changed=no
exclude=$(git rev-parse --git-path info/exclude)
mkdir -p "${exclude%/*}"
for entry in /logs/ /.venv/ /.conda/ '/runs/remote-*/'; do
  grep -q -x -F -e "$entry" "$exclude" 2>/dev/null || {
    # the file's last line may lack its end
    [ ! -s "$exclude" ] || [ -z "$(tail -c 1 "$exclude")" ] || echo >>"$exclude"
    printf '%s\n' "$entry" >>"$exclude"
    changed=yes
  }
done
if [ ! -d logs ]; then
  mkdir logs
  changed=yes
fi
path=$1 taken=''
shift
while [ $# -gt 1 ]; do
  link=logs/$1.log
  if [ -e "$link" ] && [ ! -L "$link" ]; then
    taken=$link
  else
    ln -sfn -- "$2" "$link"
  fi
  shift 2
done
if [ -n "$taken" ]; then
  refuse "$path/$taken is a file of its own"
fi
echo "changed=$changed"
