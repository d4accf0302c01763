"""One resident shell: a link, what is sent into it and what comes back."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

from sandbox_ops.errors import ConnectError, ProtocolError
from sandbox_ops.links import LinkEnd, LinkError, Links
from sandbox_ops.remote import answer_limits, scripts
from sandbox_ops.remote.answer_limits import START_UP_BYTES
from sandbox_ops.remote.frames import Frames, OversizeError, Segment
from sandbox_ops.remote.second_look import SecondLook

HELLO_TIMEOUT_S = 45.0
"""A start-up file on the machine may be slow; a dead machine the link's own probe finds."""
_QUIET_S = 4.0
"""After so long without a word from the shell, a second link looks why."""
_PATIENCE_S = 4.5
"""After so much longer it is reported, if the second link found out."""
_STEP_S = 0.25

Reply = list[Segment]


class WorkerCrashedError(Exception):
    """Our shell on the machine ended in the middle of a request, by an error of its own."""


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker said of itself when it began.

    Attributes:
        base: Our folder there, absolute: `jobs` is in it.
        login: "ok"; "none" without bash; "failed" where a start-up file ended the
            shell, so that commands run without the login environment.
    """

    base: str
    login: str


class Worker:
    """A loop of ours in a shell on the machine. Used by one thread at a time.

    Args:
        links: Connected; one link more is opened.

    Raises:
        SessionLimitError: No further link can be opened now.
        LinkError: The connection died.
    """

    def __init__(self, links: Links) -> None:
        self._links = links
        self._nonce = secrets.token_hex(16)
        self._frames = Frames(self._nonce, START_UP_BYTES)
        self._opening = scripts.opening(self._nonce)
        self._sequence = 0
        self.hello: Hello | None = None
        self._opened_at = time.monotonic()
        self._link = links.open_link(scripts.bootstrap("worker"))

    @property
    def is_open(self) -> bool:
        """Whether its link may still carry a request."""
        return self._link.is_open

    def ask(self, verb: str, arguments: Sequence[str], answer_s: float) -> Reply:
        """Send a request and return the segments of its answer.

        Raises:
            TimeoutError: Nothing came for `answer_s`.
            LinkError: The link or its connection died.
            WorkerCrashedError: The shell there ended by an error.
            ConnectError: There was no link to begin with, and what carries it says why.
            ProtocolError: The account gives no shell that works, or none in time; or
                more came than was asked for.
        """
        self._sequence += 1
        request = scripts.request(self._sequence, verb, arguments)
        limit_bytes = answer_limits.limit_bytes(verb, arguments)
        self._frames.begin(limit_bytes + (0 if self.hello else START_UP_BYTES))
        self._send(self._opening + request)
        self._opening = b""
        reply: Reply = []
        while True:
            for segment in self._receive(answer_s):
                if segment.what == "need":
                    name = segment.fields.get("name", "")
                    self._send(scripts.needed(self._nonce, name) + request)
                elif segment.what == "crashed":
                    raise WorkerCrashedError(_first_line(segment.data))
                elif self.hello is None:
                    self._handle_hello(segment)
                elif segment.what == "end":
                    return reply
                else:
                    reply.append(segment)

    def _send(self, data: bytes) -> None:
        try:
            self._link.send(data)
        except LinkError:
            if self.hello:
                raise
            self._explain_end()

    def _receive(self, answer_s: float) -> list[Segment]:
        if self.hello is None:
            chunk = self._first_chunk()
        else:
            chunk = self._link.receive(answer_s)
        if not chunk:
            self._explain_end()
        try:
            return self._frames.feed(chunk)
        except OversizeError:
            raise ProtocolError(
                f"{self._links.description} sent more than the "
                f"{self._frames.limit_bytes} bytes that its answer may have; the "
                "connection to it was given up"
            ) from None

    def _first_chunk(self) -> bytes:
        """Wait for the shell's first words; find out meanwhile why they do not come."""
        look: SecondLook | None = None
        try:
            while True:
                try:
                    return self._link.receive(_STEP_S)
                except TimeoutError:
                    waited_s = time.monotonic() - self._opened_at
                if waited_s > HELLO_TIMEOUT_S:
                    raise self._silent(waited_s)
                if waited_s > _QUIET_S:
                    look = look or SecondLook(self._links, _PATIENCE_S)
                    if does := look.explanation():
                        raise self._start_up_file(does)
        finally:
            if look:
                look.close()

    def _handle_hello(self, segment: Segment) -> None:
        if segment.what == "bare":
            raise self._start_up_file("replaces the shell that runs commands")
        if segment.what == "hello":
            self.hello = Hello(
                base=segment.data.decode("utf-8", "surrogateescape"),
                login=segment.fields.get("login", ""),
            )

    def _start_up_file(self, does: str) -> ProtocolError:
        return ProtocolError(
            f"a start-up file on {self._links.description} {does}",
            "Look for `exec`, `read` or another shell in ~/.bashrc (or your shell's own "
            "file) there, and put it behind a check for an interactive shell: "
            "[[ $- == *i* ]] || return",
        )

    def _silent(self, waited_s: float) -> ProtocolError:
        return ProtocolError(
            f"the login shell on {self._links.description} accepted the login, and our command "
            f"has not begun after {waited_s:.0f} s",
            "Does ~/.bashrc (or your shell's own file) there wait for something? Put "
            "that behind a check for an interactive shell: [[ $- == *i* ]] || return",
        )

    def _explain_end(self) -> None:
        """Raise what an end means: of a session in use, or of one that never began.

        Raises:
            LinkError: The link died.
            ConnectError: There never was one, and what carries it says why.
            ProtocolError: The login shell ended.
        """
        if self.hello or not self._links.is_connected:
            raise LinkError("the session ended")
        before = self._frames.rest.decode(errors="replace") + self._link.complaint()
        shown = before[:500].strip()
        where = self._links.description
        if self._link.end() is LinkEnd.DIED:
            if shown:
                raise ConnectError(f"cannot reach {where}: {shown}")
            raise LinkError("the session ended before it began")
        raise ProtocolError(
            f"the login shell on {where} ended before it ran anything"
            + (f"; it said: {shown}" if shown else ""),
            "Does ~/.bashrc (or your shell's own file) there exit? Is the account "
            "allowed to run commands? Try: ssh HOST true",
        )

    def close(self) -> None:
        """End the link; what it started detached lives on."""
        self._link.close()


def _first_line(data: bytes) -> str:
    lines = data.decode("utf-8", "replace").strip().splitlines()
    return lines[0][:300] if lines else "it did not say why"
