#!/bin/sh
# usage: file_send.sh MARK FIRST_BYTE PATH
#
# Prints a line MARK, then the file from that byte on (1 is the first). What a start-up
# file printed before lies before the mark.
printf '\n%s\n' "$1"
exec tail -c "+$2" -- "$3"
