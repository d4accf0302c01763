"""A ProxyCommand of ssh_config: a process that leads to the machine."""

import contextlib
import os
import socket
import subprocess
import tempfile


class Proxy:
    """A ProxyCommand: a process whose standard input and output are the link.

    Args:
        command: A shell line, its tokens expanded (ssh_config(5), ProxyCommand).
    """

    def __init__(self, command: str) -> None:
        self._command = command
        ours, theirs = socket.socketpair()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `close`
        with theirs:
            self._process = subprocess.Popen(
                f"exec {command}",
                shell=True,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=self._stderr,
                start_new_session=True,  # Ctrl-C is for us: the link outlives it
            )
        self.sock = ours

    def complaint(self) -> str:
        """Return what the command said on stderr, and how it ended if it did."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        self._stderr.seek(0)
        stderr = self._stderr.read(2000).decode("utf-8", "replace").strip()
        code = self._process.poll()
        ended = "" if code is None else f" (it exited {code})"
        return f"ProxyCommand `{self._command}`{ended}: {stderr or 'said nothing'}"

    def close(self) -> None:
        """End the process and the link."""
        self.sock.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, 15)
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()
