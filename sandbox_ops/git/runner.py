"""The one place that starts git on this computer, with nothing of a repository running.

A clone's own `.git/config` can name programs: monitors, hooks, ssh commands, pagers,
transports. It may have come with an archive, so none of them runs here: what git can be
told to leave out is left out on every call; clone_config.py refuses what remains.
"""

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from sandbox_ops.errors import NotFoundError, TimedOutError

GIT_ENV = {
    "GIT_ASKPASS": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "GCM_INTERACTIVE": "never",
    "LC_ALL": "C",
    "SSH_ASKPASS_REQUIRE": "never",
}
"""Under these git fails where it would ask, and says so in words that do not vary."""

LOOK_S = 60
"""So long a question to the clone may take that needs no network."""

_TRANSPORTS = ("file", "git", "http", "https", "ssh")
_OPTIONS = tuple(
    word
    for setting in (
        "safe.bareRepository=explicit",
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "core.pager=cat",
        "core.editor=false",
        "core.quotePath=true",
        "diff.external=",
        "gc.auto=0",
        "maintenance.auto=false",
        "log.showSignature=false",
    )
    for word in ("-c", setting)
)


def run(
    folder: str | Path,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    settings: tuple[str, ...] = (),
    ssh: str = "",
    stdin: bytes = b"",
    into: BinaryIO | None = None,
    timeout_s: float = LOOK_S,
) -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder, without a terminal, a prompt or a translation.

    Args:
        folder: Where.
        arguments: The verb and what follows.
        environ: The environment; None: ours.
        settings: More of `NAME=VALUE` to go over the configuration.
        ssh: The ssh command that the user's own configuration names.
        stdin: What it reads.
        into: A file for what it prints; None: that is returned.
        timeout_s: How long it may take.

    Raises:
        NotFoundError: git is not installed here, or the folder is gone.
        TimedOutError: It took longer.
    """
    more = tuple(word for setting in settings for word in ("-c", setting))
    env = {**(os.environ if environ is None else environ), **GIT_ENV}
    env["GIT_ALLOW_PROTOCOL"] = ":".join(_transports(env))
    env["GIT_SSH_COMMAND"] = f"{_ssh(env, ssh)} -o BatchMode=yes"
    command = ["git", "--no-optional-locks", "--no-pager", *_OPTIONS, *more, *arguments]
    try:
        return _finished(command, folder, env, stdin, into, timeout_s)
    except FileNotFoundError:
        raise NotFoundError(
            f"git cannot be run in {folder}: it is not installed here, or the folder "
            "is gone",
            "Install git on this machine.",
        ) from None
    except subprocess.TimeoutExpired:
        raise TimedOutError(
            f"git {arguments[0]} in {folder} took longer than {timeout_s:.0f} s",
            f"Does the file system answer? Try: git -C {folder} rev-parse HEAD",
        ) from None


def _finished(
    command: list[str],
    folder: str | Path,
    env: Mapping[str, str],
    stdin: bytes,
    into: BinaryIO | None,
    timeout_s: float,
) -> subprocess.CompletedProcess[bytes]:
    """Run a command to its end; at the deadline also what it started is killed."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=env,
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stdout=subprocess.PIPE if into is None else into,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        try:
            stdout, stderr = process.communicate(stdin or None, timeout=timeout_s)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(
        command, process.returncode, stdout or b"", stderr
    )


def _ssh(env: Mapping[str, str], configured: str) -> str:
    """Return the ssh command, in git's own order of precedence."""
    program = shlex.quote(env.get("GIT_SSH") or "ssh")
    return env.get("GIT_SSH_COMMAND") or configured or program


def _transports(env: Mapping[str, str]) -> tuple[str, ...]:
    """Return the transports that may be used: no program of the name `git-remote-X`."""
    users_own = env.get("GIT_ALLOW_PROTOCOL")
    if users_own is None:
        return _TRANSPORTS
    return tuple(set(users_own.split(":")) & set(_TRANSPORTS))
