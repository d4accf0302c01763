# shellcheck shell=sh
# The last lines of the library: which of its lives this process leads.

SETSID=
if command -v setsid >/dev/null 2>&1; then
  SETSID=$(command -v setsid)
elif command -v busybox >/dev/null 2>&1 && busybox setsid true 2>/dev/null; then
  SETSID='busybox setsid'
fi

case ${1-} in
  '') boot ;;
  facts) ;; # a script that wants the functions
  *) LIBRARY=$0 && "$@" ;;
esac
