"""`monitor --watch`: one look after the other, drawn in the place of the one before.

The looks are taken by a thread, so that keys, Ctrl-C and a terminal that changes its size
are answered at once, however slow the machine is. On a screen what does not fit is cut at
the end, where the least important stands; without one (a pipe, TERM=dumb) each look is
printed below the one before.
"""

import contextlib
import os
import select
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sandbox_ops.cli import dashboard, output, terminal

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult

    from sandbox_ops.workflows.monitor import MonitorReport

_TICK_S = 0.1  # how soon a key or a new size is noticed
_QUIT_KEYS = frozenset("qQ\x04")


def watch(
    look: "Callable[[], MonitorReport]", *, machine: str, interval_s: float
) -> bool:
    """Draw what each look finds, until `q` or Ctrl-C; return whether it was a key.

    Raises:
        SandboxError: What a look raised.
    """
    looks = _Looks(look, interval_s)
    with contextlib.suppress(KeyboardInterrupt), looks:
        with _keyboard() as quit_pressed, _drawing(machine) as draw:
            drawn = None
            while not quit_pressed():
                report = looks.newest()
                if report is not None and (report, output.terminal_size()) != drawn:
                    drawn = (report, output.terminal_size())
                    draw(report, looks.count)
        return True
    return False


class _Looks:
    """Takes a look every so often, in a thread of its own."""

    def __init__(self, look: "Callable[[], MonitorReport]", interval_s: float) -> None:
        self.count = 0
        self._look = look
        self._interval_s = interval_s
        self._over = threading.Event()
        self._report: MonitorReport | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="looks", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def newest(self) -> "MonitorReport | None":
        """What the newest look found; None before the first has ended."""
        if self._error:
            raise self._error
        return self._report

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._report = self._look()
            except Exception as error:  # noqa: BLE001 - raised where it is waited for
                self._error = error
                return
            self.count += 1
            self._over.wait(self._interval_s)


@contextlib.contextmanager
def _keyboard() -> Iterator[Callable[[], bool]]:
    """Yield what waits a moment, and says whether a key that ends it was pressed."""
    if not _owns_keyboard():
        pause = threading.Event()
        yield lambda: pause.wait(_TICK_S)
        return
    keys = sys.stdin.fileno()
    before = termios.tcgetattr(keys)
    tty.setcbreak(keys)
    try:
        yield lambda: _quit_pressed(keys)
    finally:
        termios.tcsetattr(keys, termios.TCSADRAIN, before)


def _owns_keyboard() -> bool:
    """Whether keys are ours to read: not a pipe's, not another job's of the shell."""
    with contextlib.suppress(OSError, ValueError):
        return sys.stdin.isatty() and os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    return False


def _quit_pressed(keys: int) -> bool:
    ready, _, _ = select.select([keys], [], [], _TICK_S)
    if not ready:
        return False
    typed = os.read(keys, 64).decode("utf-8", "replace")
    return not typed or not _QUIT_KEYS.isdisjoint(typed)


@contextlib.contextmanager
def _drawing(machine: str) -> "Iterator[Callable[[MonitorReport, int], None]]":
    """Yield what draws a report; `number` counts the looks."""
    console = output.console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield _printed(machine)
        return
    from rich.live import Live

    last: list[MonitorReport] = []
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def draw(report: "MonitorReport", _: int) -> None:
            last[:] = [report]
            live.update(_Cropped(dashboard.view(report, machine)), refresh=True)

        try:
            yield draw
        finally:
            live.stop()
            for report in last:  # the screen is gone: leave what it showed at its end
                dashboard.monitor(report, machine)


def _printed(machine: str) -> "Callable[[MonitorReport, int], None]":
    seen = 0

    def draw(report: "MonitorReport", number: int) -> None:
        nonlocal seen
        if number != seen:  # a new size alone is no news where nothing is redrawn
            seen = number
            dashboard.monitor(report, machine)
            terminal.tell("")

    return draw


class _Cropped:
    """As many lines as the screen has, the last of them saying what is left out."""

    def __init__(self, whole: "RenderableType") -> None:
        self._whole = whole

    def __rich_console__(
        self, console: "Console", options: "ConsoleOptions"
    ) -> "RenderResult":
        from rich.segment import Segment

        height = console.size.height
        lines = console.render_lines(
            self._whole, options.update(height=None), pad=False
        )
        hidden = len(lines) - height
        shown = lines if hidden <= 0 else lines[: height - 1]
        for line in shown:
            yield from line
            yield Segment.line()
        if hidden > 0:
            yield terminal.cell(f"... {hidden + 1} more lines")
