"""What a command or a job writes, shown as it comes: its bytes passed on, or its log by lines."""

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import output
from sandbox_ops.cli.face import say
from sandbox_ops.text import remote_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox_ops.cli import logtail
    from sandbox_ops.cli.output import Stream
    from sandbox_ops.text.redaction import RedactingStream

_LOOK_UP_S = 0.5  # a wait without a bound may miss Ctrl-C: see interrupts.py
_STREAMS: "tuple[Stream, Stream]" = ("stdout", "stderr")


class Output:
    """What a job writes, as it comes, on our own stdout and stderr.

    Called in the follower's thread. `over` is set when there is nobody left to read it,
    or when the job has ended.
    """

    def __init__(self) -> None:
        self.over = threading.Event()
        self.broken: BrokenPipeError | None = None
        self.muted = False

    def __call__(self, stream: str, data: bytes) -> None:
        """Take a piece of one stream: shown, unless nobody reads it any more."""
        if self.broken or self.muted:
            return
        try:
            self.show("stdout" if stream == "stdout" else "stderr", data)
        except BrokenPipeError as error:
            self.broken = error
            self.over.set()

    def show(self, stream: "Stream", data: bytes) -> None:
        """Show a piece of one stream."""
        raise NotImplementedError

    def wait(self, future: "Future[Any]") -> None:
        """Wait for the job's end, or until nobody reads its output any more."""
        future.add_done_callback(lambda _: self.over.set())
        while not self.over.wait(_LOOK_UP_S):
            pass

    def raise_if_broken(self) -> None:
        """Raise what stopped the output, if anything did."""
        if self.broken:
            raise self.broken


class PassingOutput(Output):
    """Hands a command's output on: safe on a terminal; into a pipe or a file its bytes.

    Secrets are masked in both.

    Args:
        raw: The bytes are exact, everywhere: nothing is cleaned, nothing is masked.
    """

    def __init__(self, *, raw: bool) -> None:
        super().__init__()
        self._raw = raw
        self._safe: dict[Stream, remote_text.SafeStream] = {}
        self._masked: dict[Stream, RedactingStream] = {}
        for stream in _STREAMS:
            if output.is_terminal(stream) and not raw:
                self._safe[stream] = remote_text.SafeStream()
            else:
                self._masked[stream] = remote_text.masking_stream()

    def show(self, stream: "Stream", data: bytes) -> None:
        """Show a piece of one stream."""
        if stream in self._safe:
            output.write(self._safe[stream].feed(data), stream)
        else:
            exact = data if self._raw else self._masked[stream].feed(data)
            output.write_exact(exact, stream)

    def finish(self) -> None:
        """Show what a stream left open at its end."""
        for stream, safe in self._safe.items():
            output.write(safe.finish(), stream)
        if not self._raw:
            for stream, masked in self._masked.items():
                output.write_exact(masked.finish(), stream)


class LineOutput(Output):
    """Prints a job's output by lines."""

    def __init__(self, job_id: str, feeds: "Mapping[Stream, logtail.Feed]") -> None:
        super().__init__()
        self._job_id = job_id
        self._feeds = feeds

    def show(self, stream: "Stream", data: bytes) -> None:
        """Show a piece of one stream."""
        if stream in self._feeds:
            self._feeds[stream].take(data)

    def restart(self, stream: str) -> None:
        """Say that a log is another one now."""
        for name, feed in self._feeds.items():
            if name == stream and not self.muted:
                feed.restart()
                say(
                    f"the log of {self._job_id} was truncated or replaced: from its start"
                )

    def finish(self) -> None:
        """Print the last lines, which have no end."""
        for feed in self._feeds.values():
            feed.finish()
