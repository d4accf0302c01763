"""Runs the user's `ssh` without a terminal, and says where its sockets may be."""

import os
import subprocess
import tempfile
from pathlib import Path

from sandbox_ops.errors import DeniedError
from sandbox_ops.links import agent_files

_PATH_BYTES = 86
"""What a socket's path may have (104 bytes on some systems), less what ssh adds."""


TIMED_OUT = 124
"""What `ask` returns as the exit code of an ssh that did not end in time."""


def ask(command: tuple[str, ...], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run ssh without a terminal. A master that stays behind keeps no pipe of ours."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        try:
            code = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                timeout=timeout_s,
                check=False,
                start_new_session=True,
            ).returncode
        except subprocess.TimeoutExpired:
            code = TIMED_OUT
            err.write(f"ssh did not connect within {timeout_s:.0f} s\n".encode())
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(
            command,
            code,
            out.read().decode("utf-8", "replace"),
            err.read().decode("utf-8", "replace"),
        )


def last_line(text: str) -> str:
    """Return the last line that says something, cut."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "ssh did not say why"


def can_be_socket(path: Path) -> bool:
    """Whether ssh can make a socket there: the path is short, and its folder is there."""
    return len(os.fsencode(path)) <= _PATH_BYTES and path.parent.is_dir()


def private_folder() -> Path:
    """Return our folder for sockets.

    Raises:
        DeniedError: Another user owns it, or may enter it.
    """
    folder = agent_files.runtime_folder(os.environ)
    if len(os.fsencode(folder)) > _PATH_BYTES - 20:
        folder = agent_files.runtime_folder({})  # the environment's is too long
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        agent_files.check_folder(folder)
    except (OSError, agent_files.UnusableError) as error:
        raise DeniedError(
            f"no connection can be kept: {error}",
            f"Remove it, if you did not make it: ls -ld {folder}",
        ) from error
    return folder
