"""Reports as people see them: tables where there is a terminal, plain columns in a pipe.

Rich is imported where something is drawn: `--list` and `--json` do not pay for it. What
the machine said is made safe by `output`, and is never read as markup.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sandbox_ops.cli import output
from sandbox_ops.cli.layout import GAP, Column, fit
from sandbox_ops.text import formatting, remote_text

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from sandbox_ops.models.transfers import OnTransfer, TransferProgress

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


def cell(text: object) -> "Text":
    """Words from anywhere, safe to draw; those of a state in its colour."""
    from rich.text import Text

    line = remote_text.safe_line(str(text))
    return Text(line, style=_STYLES.get(line.partition(" ")[0], ""))


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[object]],
    width: int | None = None,
) -> "Table":
    """Values under their headings, as wide as `width` or the terminal allows."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    on_terminal = output.is_terminal()
    cells = [[cell(value) for value in row] for row in rows]
    longest = [
        max((row[at].cell_len for row in cells), default=0)
        for at in range(len(columns))
    ]
    shown = [at for at, each in enumerate(columns) if longest[at] or not each.optional]
    columns, cells = (
        [columns[at] for at in shown],
        [[row[at] for at in shown] for row in cells],
    )
    natural = [max(len(columns[i].name), longest[at]) for i, at in enumerate(shown)]
    widths = fit(columns, natural, width or output.console().width)
    drawn = Table(
        box=SIMPLE_HEAD if on_terminal else None,
        padding=(0, GAP - 1 if on_terminal else GAP, 0, 0),  # a box brings a blank
        pad_edge=False,
        show_edge=False,
        header_style="bold",
    )
    kept = [at for at, size in enumerate(widths) if size is not None]
    for at in kept:
        wraps = columns[at].wraps
        drawn.add_column(
            columns[at].name,
            no_wrap=not wraps,
            overflow="fold" if wraps else "ellipsis",
            width=widths[at],
        )
    for row in cells:
        drawn.add_row(*(row[at] for at in kept))
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
def busy(doing: str, *, quiet: bool) -> Iterator[None]:
    """Show that work is going on, where somebody looks at a terminal."""
    if quiet or not output.is_terminal("stderr"):
        yield
        return
    with output.console("stderr").status(f"{doing} ..."):
        yield


@contextlib.contextmanager
def transfers(*, quiet: bool) -> Iterator["OnTransfer | None"]:
    """One bar for all files, with rate and time left; give what it yields each piece."""
    if quiet or not output.is_terminal("stderr"):
        yield None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[sizes]}", markup=False),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=output.console("stderr")) as progress:
        bar = progress.add_task("", total=None, sizes="")

        def advance(now: "TransferProgress") -> None:
            progress.update(
                bar,
                description=remote_text.safe_line(now.path),
                total=now.total_bytes,
                completed=now.total_done_bytes,
                sizes=formatting.transfer_sizes(
                    now.total_done_bytes, now.total_bytes, now.rate_bytes_s
                ),
            )

        yield advance
