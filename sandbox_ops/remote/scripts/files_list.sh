#!/bin/sh
# usage: files_list.sh ROOT SINCE ROOTS DENY PATTERN...
#
# Prints the regular files that the patterns name below ROOT, directories whole, without those
# like a pattern of DENY, and where SINCE names a file those alone that changed after it: first each place that a pattern leads to, as it is named and where
# it really is; a line `--`; the files, where they really are; a line `--`; then `SIZE MTIME`
# each, in the same order. Names end in NUL. A place outside of ROOTS is refused.
# uses: find_real is_readable stat
set -u
root=$1 since=$2 roots=$3 deny=$4
shift 4
refuse() {
  printf 'error=denied reading %s, which is %s, is not allowed: %s\nhint_code=policy\n' \
    "$(printf %s "$1" | tr '\n' ' ')" "$(printf %s "$REAL" | tr '\n' ' ')" "$WHY"
  exit 77
}
cd "$root" 2>/dev/null || {
  find_real "$root"
  is_readable "$roots" "" || refuse "$root"
  echo "error=not-found no such directory: $root"
  exit 66
}
top=$PWD places=$SANDBOX_JOB/places names=$SANDBOX_JOB/names

# find_place PATH: REAL = where it is; whether files in it may be read
find_place() {
  if [ -d "./$1" ] && [ ! -h "./$1" ]; then
    cd -P "./$1" 2>/dev/null || return
    REAL=$PWD
    cd "$top" || exit
    is_readable "$roots" "" || refuse "$1"
  else
    find_real "$top/$1"
    is_readable "$roots" "$deny" || refuse "$1"
  fi
}

# search FOLDER: the files in it that may be read
search() {
  _folder=$1
  shift
  IFS='
'
  set -f
  for each in $deny; do set -- "$@" ! -path "$each"; done
  set +f
  unset IFS
  [ -z "$since" ] || set -- "$@" -newer "$since"
  find "$_folder" -type f "$@" -print0
}

printf '' >"$places"
for pattern; do
  IFS= # unquoted below: the pattern may hold * and ?, its blanks are its own
  for path in $pattern; do
    [ -e "$path" ] || continue
    case $path in /* | ../* | */../* | */.. | ..) continue ;; esac
    find_place "$path" || continue
    printf '%s\0%s\0' "$path" "$REAL" >>"$places"
    search "$REAL" >>"$names.all"
    IFS=
  done
done
[ ! -e "$names.all" ] || LC_ALL=C sort -zu <"$names.all" >"$names"
cat "$places"
printf '\n--\n'
if [ -s "$names" ]; then
  cat "$names"
  printf '\n--\n'
  xargs -0 stat -c '%s %Y' <"$names"
fi
rm -f "$places" "$names" "$names.all"
