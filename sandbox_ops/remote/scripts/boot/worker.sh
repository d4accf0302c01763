#!/bin/sh
# Becomes a resident worker: finds our library on the machine, or asks for it. Behind a
# line `#=` come the library's hash and the nonce of this session. What is found runs as us:
# so it has to be ours, no link, closed to others, and what its name says.
# shellcheck disable=SC2154 # x, until it is read
until [ "$x" = "#=" ];
do
  IFS= read -r x || exit;
done;
IFS= read -r h;
IFS= read -r n;
h=${h#?};
n=${n#?};
[ -n "${HOME-}" ] || { HOME=$(eval "printf %s ~$(id -un)"); export HOME; };
r=$HOME/.sandbox-ops;
f=$r/lib/$h.sh;
l=;
# shellcheck disable=SC3067 # the shells that we know have it
if [ -h "$r" ] || [ -h "$r/lib" ] || [ -h "$f" ];
then
  :;
elif [ -s "$f" ] && [ -O "$r" ] && [ -O "$r/lib" ] && [ -O "$f" ];
then
  s=$(find "$r" "$r/lib" "$f" -prune -perm -020 -o -prune -perm -002)$(sha256sum <"$f" || echo "$h");
  # shellcheck source=/dev/null
  case $s in
    "$h"*) . "$f" ;;
  esac;
fi 2>/dev/null;
printf "\n%s need\n" "$n";
until [ "$x" = "#$n library" ];
do
  IFS= read -r x || exit;
done;
IFS= read -r s;
l=$(dd bs="${s#?}" count=1 iflag=fullblock 2>/dev/null | cut -c2-);
eval "$l"
