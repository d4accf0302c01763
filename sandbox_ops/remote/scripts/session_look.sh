#!/bin/sh
# usage: session_look.sh NAME...
#
# Prints those of the variables that are set, a line each; their values may be secrets.
for name; do
  case $name in '' | *[!A-Za-z0-9_]* | [0-9]*) continue ;; esac
  eval "[ -z \"\${$name+set}\" ]" || printf '%s\n' "$name"
done
