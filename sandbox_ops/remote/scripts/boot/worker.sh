#!/bin/sh
# Becomes a resident worker: finds our library on the machine, or asks for it. Behind a
# line `#=` come the library's hash and the nonce of this session.
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
f=$HOME/.sandbox-ops/lib/$h.sh;
# shellcheck source=/dev/null
if [ -s "$f" ];
then
  . "$f";
fi;
printf "\n%s need\n" "$n";
until [ "$x" = "#$n library" ];
do
  IFS= read -r x || exit;
done;
IFS= read -r s;
l=$(dd bs="${s#?}" count=1 iflag=fullblock 2>/dev/null | cut -c2-);
eval "$l"
