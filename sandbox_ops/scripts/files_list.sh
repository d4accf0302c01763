# usage: files_list hash|plain ROOT PATTERN...
# Prints the regular files that the patterns name below ROOT, directories whole: their
# names, NUL-ended; a line `--`; `SIZE MTIME` each, in the same order; with hash a line
# `--` and the SHA-256 each. Symbolic links are not followed out of the tree.
set -u
mode=$1 root=$2
shift 2
cd "$root" 2>/dev/null || {
  echo "error=not-found no such directory: $root"
  exit 66
}
names=$SANDBOX_JOB/names
for pattern; do
  # unquoted: the pattern may hold * and ?; its blanks are kept by IFS
  IFS=
  for path in $pattern; do
    [ -e "$path" ] || continue
    case $path in /* | ../* | */../* | */..) continue ;; esac
    find "./$path" -type f -print0
  done
done | LC_ALL=C sort -zu >"$names"
cat "$names"
printf '\n--\n'
[ ! -s "$names" ] || xargs -0 stat -c '%s %Y' <"$names"
if [ "$mode" = hash ]; then
  printf -- '--\n'
  [ ! -s "$names" ] || xargs -0 sha256sum <"$names"
fi
rm -f "$names"
