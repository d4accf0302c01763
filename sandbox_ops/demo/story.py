"""The demo: from an empty machine to a trained model at home, scene by scene.

It does what a user does, with the functions that the command line calls: settings are
discovered from the user's own file and the project's, workflows do the work, their reports are
shown. There is no other way through; a report that is not ok ends the story, loudly.
"""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from sandbox_ops.config import discover
from sandbox_ops.demo import leftovers, scenery, scenes
from sandbox_ops.demo.embedded import embedded_sandbox
from sandbox_ops.demo.screen import Screen
from sandbox_ops.demo.stage import DemoFailedError, Stage
from sandbox_ops.errors import RefusedError
from sandbox_ops.machine import pause
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.text import formatting

_NOT_FOR_THE_DEMO = ("SANDBOX_OPS_", "SSH_", "GIT_")
_SIGNALS = (signal.SIGTERM, signal.SIGHUP)
_QUIET_S = 5.0


def tell(keep: Path | None = None, *, steps: int = 900) -> int:
    """Go through the whole story; return the exit code.

    Everything lies in one temporary folder, which is gone at the end, as is every
    process.

    Args:
        keep: A folder to use instead, empty or not there yet. It stays, with the
            trained model, the loss curve and all else.
        steps: How long the training is; 900 take about 15 s.

    Raises:
        SandboxError: what a verb raised; `keep` holds something (RefusedError), git is
            not installed (NotFoundError), or the server did not start (ConnectError).
    """
    screen = Screen()
    started = time.monotonic()
    with _ending_on_signals(), _own_environment(), _folder(keep) as root:
        try:
            _play(screen, root, steps)
        except DemoFailedError as error:
            screen.failure(error.message, error.hint)
            return error.exit_code
    screen.closing(
        f"That was all, in {formatting.duration(time.monotonic() - started)}.",
        f"Kept: {root}" if keep else "No process and no file of it is left.",
        "Your own machine: see README.md, `sandbox-ops doctor` checks the way to it.",
    )
    return 0


def _play(screen: Screen, root: Path, steps: int) -> None:
    screen.opening(
        "A machine, a project, a training, the results at home: all on this computer.",
        "Each scene names the command that you would type, and calls what it calls.",
    )
    screen.shorten(str(root))
    machine = root / "machine"
    with embedded_sandbox(machine) as box:
        clone = scenery.build(root, box)
        settings = discover.settings(clone, _environment(root))
        with Sandbox(settings.sandbox()) as sandbox:
            stage = Stage(screen, sandbox, settings.project, clone)
            job = scenes.up_to_the_training(stage, steps)
        # The connection is closed; a new one knows only the id.
        with Sandbox(settings.sandbox()) as sandbox:
            stage = Stage(screen, sandbox, settings.project, clone)
            scenes.from_the_training_on(stage, job.id)
        # Before the server ends, which would end them: the product itself left nothing.
        if pause.until(lambda: not leftovers.find(machine) or None, timeout_s=_QUIET_S):
            screen.good("disconnected; not one process is left on the machine")
            return
        raise DemoFailedError(
            "processes are left on the machine",
            "\n".join(leftovers.find(machine).values()),
        )


def _environment(root: Path) -> dict[str, str]:
    """Return ours, with the demo's own configuration for the user's."""
    return {**os.environ, "XDG_CONFIG_HOME": str(scenery.configuration(root))}


@contextlib.contextmanager
def _own_environment() -> Iterator[None]:
    """Take away what points at the user's own machines, repositories and git settings."""
    kept = {
        name: os.environ.pop(name)
        for name in tuple(os.environ)
        if name.startswith(_NOT_FOR_THE_DEMO)
    }
    try:
        yield
    finally:
        os.environ.update(kept)


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="sandbox-ops-demo-") as name:
            yield Path(name).resolve()
        return
    if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
        raise RefusedError(
            f"{keep} is not empty", "Name a folder that is not there yet."
        )
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.resolve()


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Leave in order on SIGTERM and SIGHUP too, so that nothing stays behind."""

    def leave(number: int, frame: object) -> NoReturn:  # noqa: ARG001
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = {number: signal.signal(number, leave) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
