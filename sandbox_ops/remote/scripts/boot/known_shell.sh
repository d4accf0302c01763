#!/bin/sh
# The first words of every session, run by whatever /bin/sh is: hands over to a shell that
# our library is known to run under (dash, bash, busybox), where /bin/sh is none of them.
# $1 is what follows, $0 the shell that it runs in. Sent as one line: `;` ends each command.
# Of the environment nothing is taken for granted: a container or a service may have no PATH to
# speak of and no HOME. `~NAME` asks the accounts; where they have none, HOME stays unset.
command -v dd >/dev/null || export PATH="$PATH":/usr/local/bin:/usr/bin:/bin;
[ -n "${HOME-}" ] || HOME=$(eval "printf %s ~$(id -un 2>/dev/null)");
case $HOME in /*) export HOME ;; *) unset HOME ;; esac;
case ${KSH_VERSION-}${ZSH_VERSION-}${YASH_VERSION-}${POSH_VERSION-} in
  ?*)
    for s in dash bash busybox;
    do
      p=$(command -v $s) || continue;
      case $s in
        busybox) exec busybox sh -c "$1" "busybox sh" ;;
        *) exec "$p" -c "$1" "$p" ;;
      esac;
    done;
    echo "/bin/sh is a shell that sandbox-ops does not know: install dash or bash" >&2;
    exit 82 ;;
esac;
x=$1;
shift;
eval "$x"
