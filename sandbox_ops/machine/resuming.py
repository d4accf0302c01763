"""Goes on with a transfer whose link was lost, as long as it gets further."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from sandbox_ops.errors import ConnectError, ConnectionLostError
from sandbox_ops.remote.requests import RECONNECT_TIMEOUT_S

_PAUSE_S = 0.25
T = TypeVar("T")


def through_losses(attempt: Callable[[], T], received: Callable[[], int]) -> T:
    """Try again whenever the link is lost, until nothing more comes for a while.

    Args:
        attempt: Goes on where the last one stopped.
        received: How many bytes have come so far.

    Raises:
        ConnectionLostError: The link was lost, and for 15 s nothing more has come.
        ConnectError: The machine could not be reached in the first place.
    """
    lost: ConnectionLostError | None = None
    most, give_up_at = 0, 0.0
    while True:
        try:
            return attempt()
        except ConnectError as error:
            if isinstance(error, ConnectionLostError):
                lost = error
            if lost is None:
                raise
            if not give_up_at or received() > most:
                most, give_up_at = received(), time.monotonic() + RECONNECT_TIMEOUT_S
            if time.monotonic() > give_up_at:
                raise lost from None
        threading.Event().wait(_PAUSE_S)
