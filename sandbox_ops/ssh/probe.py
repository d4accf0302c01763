"""A probe that wants an answer: nothing else finds a host that is frozen."""

import contextlib
import threading
from collections.abc import Callable

from paramiko import Transport

EVERY_S = 5.0
ANSWER_S = 5.0


def begin(transport: Transport, heard: Callable[[], None]) -> None:
    """Watch over a transport until it closes; close it when nobody answers.

    Args:
        transport: The connection.
        heard: Called with each answer: the machine lives.

    A frozen host still acknowledges at TCP's level. Only an answer of sshd's own shows
    that somebody is there (a global request with want-reply: RFC 4254, section 4).
    """
    threading.Thread(
        target=_watch, args=(transport, heard), name="ssh-probe", daemon=True
    ).start()


def _watch(transport: Transport, heard: Callable[[], None]) -> None:
    idle = threading.Event()
    while transport.is_active():
        idle.wait(EVERY_S)
        if not answers(transport, ANSWER_S):
            transport.close()
            return
        if transport.is_active():
            heard()


def answers(transport: Transport, within_s: float) -> bool:
    """Whether somebody is there, or hung up: ask, and wait no longer than this."""
    answered = threading.Event()
    threading.Thread(
        target=_ask, args=(transport, answered), name="ssh-probe-ask", daemon=True
    ).start()
    return answered.wait(within_s)


def _ask(transport: Transport, answered: threading.Event) -> None:
    with contextlib.suppress(Exception):
        transport.global_request("keepalive@openssh.com", wait=True)
    answered.set()
