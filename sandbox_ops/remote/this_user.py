"""Who works on a machine from here, as the records of jobs say it."""

import functools
import getpass
import socket


@functools.cache
def name() -> str:
    """Return `USER@HOST` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a number that no file gives a name
        user = "?"
    return f"{user}@{socket.gethostname()}"
