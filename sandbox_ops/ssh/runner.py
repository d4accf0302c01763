"""The Runner of users' own Fabric tasks: Fabric's, without the traps.

It waits on an event instead of polling, is linear in the output, closes stdin, tells
signals and lost links from exit codes, and reports a timeout when the tree is dead.
"""

import codecs
import contextlib
import secrets
import shlex
from collections.abc import Callable, Iterator
from typing import Any

from fabric.runners import Remote

from sandbox_ops.errors import ConnectionLostError
from sandbox_ops.links import SessionLimitError

_SIGNAL_NUMBERS = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "ABRT": 6, "FPE": 8, "KILL": 9,
    "SEGV": 11, "PIPE": 13, "ALRM": 14, "TERM": 15,
}  # fmt: skip
"""The names that RFC 4254, section 6.10, knows."""
_KILLED_S = 15
"""In that time a tree is dead, or its link found dead."""


class Runner(Remote):  # type: ignore[misc]
    """Runs `Connection.run` of users' tasks; product traffic goes through workers."""

    read_chunk_size = 1 << 16
    _killing = False
    _unsure: Exception | None = None

    def start(self, command: str, shell: str, env: Any, timeout: Any = None) -> None:  # noqa: ANN401
        """Start the command, marked so that its whole tree can be found."""
        self._marker = secrets.token_hex(16)
        marked = f"export SANDBOX_JOB=fabric-{self._marker}; {command}"
        super().start(f"exec sh -c {shlex.quote(marked)}", shell, env, timeout)
        if not self.streams["in"]:
            self.channel.shutdown_write()

    def wait(self) -> None:
        """Wait for the end, woken by it."""
        while not self.channel.status_event.wait(0.25):
            if self.has_dead_threads:
                return

    def respond(self, buffer_: list[str]) -> None:
        """Answer prompts, where the caller gave watchers for them."""
        if self.watchers:
            super().respond(buffer_)

    def read_proc_output(self, reader: Callable[[int], bytes]) -> Iterator[str]:
        """Yield the output, decoded across the borders of its chunks."""
        decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        while data := reader(self.read_chunk_size):
            yield decoder.decode(data)
        if rest := decoder.decode(b"", final=True):
            yield rest

    def returncode(self) -> int:
        """Return the exit code, 128+n for a signal.

        Raises:
            ConnectionLostError: The link died; what became of the command is unknown.
        """
        if self._killing and self._timer:
            self._timer.join(_KILLED_S)
        if self._unsure is not None:
            raise ConnectionLostError(
                f"the deadline passed, and the connection to {self.context.host} is "
                f"lost: whether the command's processes are dead is unknown; "
                f"{self._unsure}",
                "Look on the machine before you run it again.",
            ) from self._unsure
        code = int(self.channel.recv_exit_status())
        if code != -1:
            return code
        if name := getattr(self.channel, "exit_signal", None):
            return 128 + _SIGNAL_NUMBERS.get(name, 0)
        if self._killing:
            return 124
        raise ConnectionLostError(
            f"the connection to {self.context.host} was lost; "
            "what became of the command is unknown",
            "Look on the machine before you run it again.",
        )

    @property
    def timed_out(self) -> bool:
        """Whether the deadline passed; stock Fabric asks whether its timer died."""
        return self._killing

    def kill(self) -> None:
        """End the command's tree, then the channel."""
        self._killing = True
        try:
            self._kill_tree()
        except Exception as error:  # noqa: BLE001  # in `returncode`, when it is asked for
            self._unsure = error
        finally:
            self.channel.close()

    def _kill_tree(self) -> None:
        marker = f"fabric-{self._marker}"
        try:
            self.context.kill_marked(marker)
        except SessionLimitError:  # ours may be the only one that the server allows
            with contextlib.closing(self.context.another()) as other:
                other.kill_marked(marker)

    def stop(self) -> None:
        """End the runner; a timeout is not reported before the tree is dead."""
        if self._timer and self._killing:
            self._timer.join(_KILLED_S)
        super().stop()
