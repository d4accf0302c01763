#!/bin/sh
# usage: log_link.sh PATH [NAME LOG]
#
# Makes PATH/logs, with NAME.log in it a link to LOG. Git is told not to look at what we
# put into the tree. Says `changed=yes|no`.
set -eu

cd "$1"
changed=no
exclude=$(git rev-parse --git-path info/exclude)
mkdir -p "${exclude%/*}"
for entry in /logs/ /.venv/ '/runs/remote-*/'; do
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
if [ $# -gt 1 ]; then
  link=logs/$2.log
  if [ -e "$link" ] && [ ! -L "$link" ]; then
    echo "error=refused $1/$link is a file of its own"
    exit 75
  fi
  ln -sfn -- "$3" "$link"
fi
echo "changed=$changed"
