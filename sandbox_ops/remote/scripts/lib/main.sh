# shellcheck shell=sh
# The last lines of the library: which of its lives this process leads.

case ${1-} in
  '') worker ;; # of a channel without the environment of a login: see boot
  facts) ;; # a script that wants the functions
  *) LIBRARY=$0 && "$@" ;;
esac
