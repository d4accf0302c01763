#!/bin/sh
# Becomes a resident worker: finds our library on the machine, or asks for it. Behind a
# line `#=` come the names of the library, its hash, and of that for a machine without /proc, and
# the nonce of this session. What is found runs as us: so it has to be ours, no link, closed
# to others, and what its name says. Without /proc `dd` may not know how to fill a block.
# shellcheck disable=SC2154 # x, until it is read
until [ "$x" = "#=" ];
do
  IFS= read -r x || exit;
done;
IFS=" " read -r h b;
IFS= read -r n;
h=${h#?};
n=${n#?};
[ -r /proc/self/stat ] || h=$b;
r=${HOME-}/.sandbox-ops;
f=$r/lib/$h.sh;
l=;
# shellcheck disable=SC3067 # the shells that we know have it
if [ -h "$r" ] || [ -h "$r/lib" ] || [ -h "$f" ];
then
  :;
elif [ -s "$f" ] && [ -O "$r" ] && [ -O "$r/lib" ] && [ -O "$f" ];
then
  s=$(find "$r" "$r/lib" "$f" -prune -perm -020 -o -prune -perm -002)$(sha256sum <"$f" || shasum -a 256 <"$f" || echo "$h");
  # shellcheck source=/dev/null
  case $s in
    "$h"*) . "$f" ;;
  esac;
fi 2>/dev/null;
printf "\n%s need name=%s\n" "$n" "$h";
until [ "$x" = "#$n library" ];
do
  IFS= read -r x || exit;
done;
IFS= read -r s;
if [ "$h" = "$b" ];
then
  l=$(dd bs=1 count="${s#?}" 2>/dev/null | cut -b2-);
else
  l=$(dd bs="${s#?}" count=1 iflag=fullblock 2>/dev/null | cut -c2-);
fi;
eval "$l"
