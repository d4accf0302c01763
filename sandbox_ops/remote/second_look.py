"""Why a shell says nothing: a second link runs next to nothing, with its input at an end.

Start-up files run for both. Where the second answers and the first does not, a file
waits for input; where the second ends without its answer, a file sends output away.
"""

import contextlib
import secrets
import time

from sandbox_ops.links import Link, LinkEnd, LinkError, Links, SessionLimitError

_READS_INPUT = "reads its input, which is where our commands come from"
_SENDS_AWAY = "sends the shell's output somewhere else"


class SecondLook:
    """Looks for the reason, a moment at a time.

    Args:
        links: Where the first link says nothing; where no second one can be opened,
            nothing is found out.
        patience_s: So long the first may still answer when the second did: what a
            start-up file reads from a cold disk, it reads fast the second time.
    """

    def __init__(self, links: Links, patience_s: float) -> None:
        self._patient_until = time.monotonic() + patience_s
        self._mark = secrets.token_hex(8).encode()
        self._seen = b""
        self._answered = False
        self._link: Link | None = None
        with contextlib.suppress(LinkError, SessionLimitError):
            self._link = links.open_link(
                f"exec /bin/sh -c 'echo {self._mark.decode()}'"
            )
            self._link.end_input()

    def explanation(self) -> str:
        """Look for a moment; return what a start-up file does, "" while that is not known."""
        if self._answered:
            return _READS_INPUT if time.monotonic() > self._patient_until else ""
        if self._link is None:
            return ""
        try:
            piece = self._link.receive(0.01)
        except TimeoutError:
            return ""
        except LinkError:
            self.close()
            return ""
        self._seen += piece
        if self._mark in self._seen:
            self._answered = True
        elif not piece:
            finished = self._link.end() is LinkEnd.FINISHED
            self.close()
            return _SENDS_AWAY if finished else ""
        return ""

    def close(self) -> None:
        """End the second link."""
        if self._link is not None:
            self._link.close()
            self._link = None
