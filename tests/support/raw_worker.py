"""A resident worker without a link: a process whose requests a test sends itself.

Its library can be changed: `pause` stops it at one line of it until the test says `go`, so that
what another worker does at that very moment is no matter of chance.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from waiting import wait_until

from sandbox_ops.remote import scripts
from sandbox_ops.remote.frames import Frames, Segment

_NONCE = "abc"


class RawWorker:
    """A worker of the machine whose home is `home`.

    Args:
        home: A folder; several workers may have it.
        pause_at: A line of the library (the part of it that is unique): the worker stops
            before it, once, until `go`. "": nowhere.
        path: Where its programs are; "": where ours are.
    """

    def __init__(self, home: Path, *, pause_at: str = "", path: str = "") -> None:
        self.home = home
        self._frames = Frames(_NONCE)
        self._sequence = 0
        self._reached, self._go = home / "reached", home / "go"
        text = scripts.library()
        if pause_at:
            assert text.count(pause_at) == 1, text.count(pause_at)
            pause = (
                f"[ -e {self._reached} ] || printf '' >{self._reached}\n"
                f"until [ -e {self._go} ]; do sleep 0.02; done\n"
            )
            text = text.replace(pause_at, f"{pause}{pause_at}")
        library = home / f"library{'-that-pauses' * bool(pause_at)}"
        library.write_text(text)
        self._process = subprocess.Popen(
            ["sh", library, "worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                "HOME": str(home),
                "PATH": path or os.environ["PATH"],
                "SANDBOX_OPS_SH": "/bin/sh",
            },
        )
        self._send(f"#{_NONCE}\n".encode())
        self._read("hello")

    def ask(self, verb: str, arguments: Sequence[str]) -> list[Segment]:
        """Return the answer to a request."""
        self.begin(verb, arguments)
        return self.answer()

    def begin(self, verb: str, arguments: Sequence[str]) -> None:
        """Send a request."""
        self._sequence += 1
        self._send(scripts.request(self._sequence, verb, arguments))

    def answer(self) -> list[Segment]:
        """Return the answer to the request that was sent last."""
        return self._read("end")

    def wait_for_the_pause(self) -> None:
        """Wait until it stands before that line."""
        wait_until(self._reached.exists, 20, what="the worker stands at that line")

    def go(self) -> None:
        """Let it go on."""
        self._go.touch()

    def kill(self) -> None:
        """Kill it where it is."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """End it; what it started goes on."""
        self.go()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        self._process.wait(20)

    def _send(self, data: bytes) -> None:
        pipe: IO[bytes] | None = self._process.stdin
        assert pipe
        pipe.write(data)
        pipe.flush()

    def _read(self, last: str) -> list[Segment]:
        pipe = self._process.stdout
        assert pipe
        segments: list[Segment] = []
        while not segments or segments[-1].what != last:
            chunk = os.read(pipe.fileno(), 65536)
            assert chunk, "the worker ended"
            segments += self._frames.feed(chunk)
        return segments


@contextlib.contextmanager
def raw_worker(
    home: Path, *, pause_at: str = "", path: str = ""
) -> Iterator[RawWorker]:
    """Give a worker, and end it."""
    worker = RawWorker(home, pause_at=pause_at, path=path)
    try:
        yield worker
    finally:
        worker.close()
