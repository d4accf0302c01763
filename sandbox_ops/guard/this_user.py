"""Who works on a machine from here, as the records of jobs say it."""

import functools
import getpass
import os
import socket


@functools.cache
def name() -> str:
    """Return `USER@HOST` of this process."""
    return f"{account()}@{socket.gethostname()}"


def account() -> str:
    """Return what the user of this process is called: a number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # as in a container
        return str(os.getuid())
