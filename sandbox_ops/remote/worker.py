"""One resident shell: a session, what is sent into it and what comes back."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox_ops.errors import ProtocolError
from sandbox_ops.remote import scripts
from sandbox_ops.remote.frames import Frames, Segment

if TYPE_CHECKING:
    from sandbox_ops.ssh.connection import SandboxConnection

HELLO_S = 45.0
"""A start-up file on the machine may be slow; a dead machine the probe finds."""

Reply = list[Segment]


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
        connection: Open; a session more is opened on it.

    Raises:
        SessionLimitError: The server allows no further session now.
        LinkError: The connection died.
    """

    def __init__(self, connection: "SandboxConnection") -> None:
        nonce = secrets.token_hex(16)
        self._connection = connection
        self._frames = Frames(nonce)
        self._nonce = nonce
        self._opening = scripts.opening(nonce)
        self._sequence = 0
        self.hello: Hello | None = None
        self._pipe = connection.shell(scripts.bootstrap("worker"))

    def ask(self, verb: str, arguments: Sequence[str], answer_s: float) -> Reply:
        """Send a request and return the segments of its answer.

        Raises:
            TimeoutError: Nothing came for `answer_s`.
            LinkError: The session or its connection died.
            ProtocolError: The account gives no shell that works, or none in time.
        """
        self._sequence += 1
        request = scripts.request(self._sequence, verb, arguments)
        self._pipe.send(self._opening + request)
        self._opening = b""
        reply: Reply = []
        while True:
            for segment in self._receive(answer_s):
                if segment.what == "need":
                    self._pipe.send(scripts.needed(self._nonce) + request)
                elif self.hello is None:
                    self._greet(segment)
                elif segment.what == "end":
                    return reply
                else:
                    reply.append(segment)

    def _receive(self, answer_s: float) -> list[Segment]:
        try:
            chunk = self._pipe.receive(answer_s if self.hello else HELLO_S)
        except TimeoutError:
            if self.hello is None:
                self._explain_silence()
            raise
        if not chunk:
            self._explain_end()
        return self._frames.feed(chunk)

    def _greet(self, segment: Segment) -> None:
        if segment.what == "bare":
            raise ProtocolError(
                f"a start-up file on {self._connection.host} replaces the shell that "
                "runs commands",
                "Look for `exec` in ~/.bashrc (or your shell's own file) there, and "
                "put it behind a check for an interactive shell: [[ $- == *i* ]]",
            )
        if segment.what == "hello":
            self.hello = Hello(
                base=segment.data.decode("utf-8", "surrogateescape"),
                login=segment.fields.get("login", ""),
            )

    def _explain_silence(self) -> None:
        raise ProtocolError(
            f"the login shell on {self._connection.host} let us in, and our command has "
            f"not begun after {HELLO_S:.0f} s",
            "Does ~/.bashrc (or your shell's own file) there read its input, wait for "
            "something, or start another shell? Put that behind a check for an "
            "interactive shell: [[ $- == *i* ]]",
        ) from None

    def _explain_end(self) -> None:
        from sandbox_ops.ssh.channel import LinkError

        if self.hello or not self._connection.is_connected:
            raise LinkError("the session ended")
        said = (self._frames.rest.decode(errors="replace") + self._pipe.complaint())[
            :500
        ]
        raise ProtocolError(
            f"the login shell on {self._connection.host} ended before it ran anything"
            + (f"; it said: {said.strip()}" if said.strip() else ""),
            "Does ~/.bashrc (or your shell's own file) there exit? Is the account "
            "allowed to run commands? Try: ssh HOST true",
        )

    def close(self) -> None:
        """End the session; what it started detached lives on."""
        self._pipe.close()
