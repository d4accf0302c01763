"""Reports as people see them: tables where there is a terminal, plain columns in a pipe.

Rich is imported where something is drawn: `--list` and `--json` do not pay for it. What
the machine said is made safe by `output`, and is never read as markup.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sandbox_ops.cli import output
from sandbox_ops.text import remote_text

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import TaskID
    from rich.table import Table
    from rich.text import Text

_STYLES = {
    "ok": "green",
    "changed": "yellow",
    "warn": "yellow",
    "fail": "bold red",
    "failed": "bold red",
    "lost": "bold red",
    "timed-out": "bold red",
    "running": "cyan",
    "starting": "cyan",
    "stopping": "cyan",
    "succeeded": "green",
    "stopped": "yellow",
    "unknown": "yellow",
}


def cell(words: object) -> "Text":
    """Words from anywhere, safe to draw; those of a state in its colour."""
    from rich.text import Text

    line = remote_text.safe_line(str(words))
    return Text(line, style=_STYLES.get(line.partition(" ")[0], ""))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> "Table":
    """Columns under their names; the last one gives way where the room is short."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    on_terminal = output.is_terminal()
    drawn = Table(
        box=SIMPLE_HEAD if on_terminal else None, pad_edge=False, header_style="bold"
    )
    for name in columns:
        last = name == columns[-1]
        drawn.add_column(name, no_wrap=True, overflow="ellipsis" if last else "fold")
    for row in rows:
        drawn.add_row(*(cell(value) for value in row))
    return drawn


def tell(*lines: str) -> None:
    """Print lines."""
    output.write("".join(f"{line}\n" for line in lines))


def draw(*things: "RenderableType") -> None:
    """Draw tables and the like on stdout, each line without blanks at its end."""
    drawing = output.console()
    with drawing.capture() as captured:
        drawing.print(*things, sep="\n")
    lines = captured.get().splitlines()
    output.write_drawn("".join(f"{line.rstrip()}\n" for line in lines))


@contextlib.contextmanager
def busy(words: str, *, quiet: bool) -> Iterator[None]:
    """Show that work is going on, where somebody looks at a terminal."""
    if quiet or not output.is_terminal("stderr"):
        yield
        return
    with output.console("stderr").status(f"{words} ..."):
        yield


@contextlib.contextmanager
def transfers(*, quiet: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar for each file: give what it yields the path, the bytes done, and of how many."""
    if quiet or not output.is_terminal("stderr"):
        yield None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TransferSpeedColumn,
    )

    bars: dict[str, TaskID] = {}
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=output.console("stderr")) as progress:

        def advance(path: str, done: int, total: int) -> None:
            if path not in bars:
                bars[path] = progress.add_task(remote_text.safe_line(path), total=total)
            progress.update(bars[path], completed=done)

        yield advance


def watch(look: Callable[[], "RenderableType"], interval_s: float) -> None:
    """Draw what each look finds in the place of the one before, until Ctrl-C."""
    from rich.live import Live

    pause = threading.Event()
    with contextlib.suppress(KeyboardInterrupt):
        if not output.is_terminal():
            while True:
                draw(look(), "")
                pause.wait(interval_s)
        with Live(look(), console=output.console(), auto_refresh=False) as live:
            while True:
                live.refresh()
                pause.wait(interval_s)
                live.update(look())
