"""One command of a client, run as OpenSSH's sshd runs it without a terminal."""

import asyncio
import contextlib
import os
import signal

import asyncssh

Process = asyncssh.SSHServerProcess[bytes]


async def serve_session(environment: dict[str, str], process: Process) -> None:
    """Run one command, as sshd does where no terminal was asked for.

    When the client vanishes the pipes close, and nothing is killed.
    """
    child, stdout, stderr = await _spawn(process.command, environment)
    feeding = asyncio.create_task(_feed(process, child))
    # send_eof would close the channel at the first of the two streams that ends.
    await process.redirect(stdout=stdout, stderr=stderr, send_eof=False)
    status = await child.wait()
    with contextlib.suppress(OSError, asyncssh.Error):  # the client is gone
        await process.stdout.drain()
        await process.stderr.drain()
        if status < 0:
            name = signal.Signals(-status).name
            process.exit_with_signal(name.removeprefix("SIG"))
        else:
            process.exit(status)
    feeding.cancel()


async def _spawn(
    command: str | None, environment: dict[str, str]
) -> tuple[asyncio.subprocess.Process, int, int]:
    """Start the user's shell; return it and our ends of its stdout and stderr."""
    stdout, their_stdout = os.pipe()
    stderr, their_stderr = os.pipe()
    try:
        child = await asyncio.create_subprocess_exec(
            environment["SHELL"],
            *(["-l"] if command is None else ["-c", command]),
            stdin=asyncio.subprocess.PIPE,
            stdout=their_stdout,
            stderr=their_stderr,
            env=environment,
            cwd=environment["HOME"],
            start_new_session=True,
        )
    finally:
        os.close(their_stdout)
        os.close(their_stderr)
    return child, stdout, stderr


async def _feed(process: Process, child: asyncio.subprocess.Process) -> None:
    """Carry what the client sends, signals too, until it ends or is gone.

    Not left to `redirect`: its pipe loses the end of a long input where that is
    followed by EOF (asyncio closes a pipe that was filled while it was emptied).
    """
    assert child.stdin is not None  # noqa: S101 - a pipe was asked for
    with contextlib.suppress(OSError, asyncssh.Error):  # either side is gone
        while True:
            try:
                data = await process.stdin.read(1 << 16)
            except asyncssh.SignalReceived as received:
                with contextlib.suppress(KeyError):  # a name that we do not know
                    os.killpg(child.pid, signal.Signals[f"SIG{received.signal}"])
                continue
            if not data:
                break
            child.stdin.write(data)
            await child.stdin.drain()
    child.stdin.close()
