"""Links that are processes here: an argument list that leads to a shell.

`["sh", "-c"]` is this computer; `["ssh", "-T", "HOST"]`, `["docker", "exec", "-i",
"NAME", "sh"]` and their like are others. The command line comes last. There is no
connection beside the processes: each link is one process, and ends with it.
"""

import contextlib
import os
import posixpath
import select
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence

from sandbox_ops.errors import ConnectError
from sandbox_ops.links import CHUNK_BYTES, LinkEnd, LinkError

_SHELLS = frozenset({"sh", "bash", "dash", "ash", "ksh", "zsh"})
_SEND_S = 30.0
_COMPLAINT_BYTES = 4096
_END_S = 1.0
_KILLED_S = (
    10.0  # a busy machine may need it; who is not waited for stays a zombie of ours
)
_LINK_DIED = 255
"""What ssh(1), and those that wrap it, exit with where the connection died."""


class ProcessLink:
    """One process of ours, and the command that it runs there."""

    def __init__(self, arguments: Sequence[str], env: Mapping[str, str] | None) -> None:
        try:
            self._process = subprocess.Popen(  # the user's own configuration
                arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=None if env is None else dict(env),
                start_new_session=True,  # Ctrl-C is for us, not for what carries bytes
                bufsize=0,
            )
        except OSError as error:
            raise LinkError(f"cannot run {arguments[0]}: {error}") from error
        assert self._process.stdin  # noqa: S101  # asked for above
        assert self._process.stdout  # noqa: S101
        assert self._process.stderr  # noqa: S101
        self._in, self._out, self._err = (
            self._process.stdin, self._process.stdout, self._process.stderr,
        )  # fmt: skip
        os.set_blocking(self._in.fileno(), False)
        self._complaint = bytearray()
        self._err_ended = False

    @property
    def is_open(self) -> bool:
        """Whether the process lives."""
        return not self._out.closed and self._process.poll() is None

    def send(self, data: bytes) -> None:
        """Send it all."""
        view = memoryview(data)
        ends_at = time.monotonic() + _SEND_S
        while view:
            try:
                sent = self._in.write(view)
            except (OSError, ValueError) as error:
                raise LinkError(f"cannot send: {error}") from error
            if sent:
                view = view[sent:]
                ends_at = time.monotonic() + _SEND_S
            elif time.monotonic() > ends_at:
                raise LinkError(f"it accepted no data for {_SEND_S:.0f} s")
            else:
                _wait([], [self._in.fileno()], 1.0)

    def end_input(self) -> None:
        """Close the process's input."""
        with contextlib.suppress(OSError):
            self._in.close()

    def receive(self, timeout_s: float, size_bytes: int = CHUNK_BYTES) -> bytes:
        """Return what has come; nothing at the process's end."""
        ends_at = time.monotonic() + timeout_s
        while True:
            left_s = ends_at - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            try:
                errors = [] if self._err_ended else [self._err.fileno()]
                ready = _wait([self._out.fileno(), *errors], [], left_s)
                if ready - {self._out.fileno()}:
                    self._take_errors()
                if self._out.fileno() in ready:
                    return os.read(self._out.fileno(), size_bytes)
            except (OSError, ValueError) as error:  # another thread has closed it
                raise LinkError(f"cannot receive: {error}") from error

    def _take_errors(self) -> None:
        piece = os.read(self._err.fileno(), CHUNK_BYTES)
        self._err_ended = not piece
        self._complaint += piece[: _COMPLAINT_BYTES - len(self._complaint)]

    def end(self) -> LinkEnd:
        """Tell a command that ended from a carrier that was killed, or gave up."""
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return LinkEnd.FINISHED  # it closed its output, and that is all
        return LinkEnd.DIED if code < 0 or code == _LINK_DIED else LinkEnd.FINISHED

    def complaint(self) -> str:
        """Return the first of what the process said on stderr so far."""
        with contextlib.suppress(OSError, ValueError):
            while not self._err_ended and _wait([self._err.fileno()], [], 0):
                self._take_errors()
        return self._complaint.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Close its input, which ends a worker; end the process where that does not."""
        self.end_input()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        for end, wait_s in (
            (self._process.terminate, _END_S),
            (self._process.kill, _KILLED_S),
        ):
            if self._process.poll() is None:
                end()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(wait_s)
        self._out.close()
        self._err.close()


def leading_to_a_shell(words: Sequence[str]) -> tuple[str, ...]:
    """Return the words to which a command line is added as the last word. Pure.

    A command that ends in a shell (`docker exec -i NAME sh`) gets it as that shell's
    `-c`; any other as its own last word, as ssh(1) takes it.
    """
    name = posixpath.basename(words[-1])
    return (*words, "-c") if name in _SHELLS else tuple(words)


def _wait(reading: Sequence[int], writing: Sequence[int], timeout_s: float) -> set[int]:
    """Return which of the descriptors are ready, or have ended."""
    poll = select.poll()
    for descriptor in reading:
        poll.register(descriptor, select.POLLIN)
    for descriptor in writing:
        poll.register(descriptor, select.POLLOUT)
    return {descriptor for descriptor, _ in poll.poll(max(0, timeout_s * 1000))}


class ProcessLinks:
    """Opens links that are processes.

    Args:
        arguments: What leads to the machine; a command line is added as the last word.
        description: The machine, as messages name it.
        env: The processes' whole environment. None: our own.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        description: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments = tuple(arguments)
        self._env = env
        self._closed = False
        self.description = description
        self.heard_at: float | None = None

    @property
    def is_connected(self) -> bool:
        """Always, until it is closed: a link that cannot be opened says so itself."""
        return not self._closed

    def connect(
        self, within_s: float | None = None, *, asked_at: float | None = None
    ) -> None:
        """See that the program is there.

        Raises:
            ConnectError: It is not installed on this computer.
        """
        del within_s, asked_at  # nothing here takes time
        self._closed = False
        path = None if self._env is None else self._env.get("PATH")
        if shutil.which(self._arguments[0], path=path) is None:
            raise ConnectError(
                f"cannot reach {self.description}: {self._arguments[0]} is not "
                "installed on this computer",
                f"Install it, or correct the link of {self.description}.",
            )

    def open_link(self, command: str) -> ProcessLink:
        """Start a process that runs the command line there.

        Raises:
            LinkError: It cannot be started.
        """
        return ProcessLink([*self._arguments, command], self._env)

    def another(self) -> "ProcessLinks":
        """Return the same once more: every link is a connection of its own."""
        return ProcessLinks(self._arguments, self.description, self._env)

    def close(self) -> None:
        """Take note of it. Each link is closed by the caller that opened it."""
        self._closed = True
