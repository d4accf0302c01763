"""What the demo shows: numbered scenes, tables, and the training as it runs.

What came from the machine is drawn as it is, never read as markup.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from sandbox_ops.text import formatting, remote_text
from sandbox_ops.text.console import SafeConsole
from sandbox_ops.workflows.setup import Step

_SPARKS = "▁▂▃▄▅▆▇█"
_ELLIPSIS = "…"
_INDENT = 2
_WIDTH = 100
_STYLES = {"ok": "green", "succeeded": "green", "changed": "yellow", "running": "cyan"}


class Screen:
    """A terminal, or a pipe that gets the same without colours and motion."""

    def __init__(self) -> None:
        self._console = SafeConsole(markup=False, highlight=False, emoji=False)
        if not self._console.is_terminal or self._console.width > _WIDTH:
            self._console.width = _WIDTH
        self._numbers = itertools.count(1)
        self._root = ""

    def shorten(self, root: str) -> None:
        """Show this folder as an ellipsis from now on, and say so."""
        self.say(f"{_ELLIPSIS} is {root}")
        self._root = root

    def clean(self, value: object) -> str:
        """Return words from anywhere as they may be shown."""
        text = remote_text.safe(str(value))
        return text.replace(self._root, _ELLIPSIS) if self._root else text

    def opening(self, *lines: str) -> None:
        """Say what this is."""
        self._print(_panel("\n".join(lines), "sandbox-ops demo", "cyan"))

    def scene(self, title: str, why: str, command: str = "") -> None:
        """Begin the next scene: what happens, why, and what one would type for it."""
        head = f"{next(self._numbers)}  {title}"
        self._print("", Text(head, style="bold cyan"))
        self.say(why)
        if command:
            self.show(Text.assemble(("$ ", "dim"), (command, "bold")))

    def good(self, text: str) -> None:
        """Say what went well."""
        self.show(Text.assemble(("✓ ", "green"), self.clean(text)))

    def facts(self, **facts: object) -> None:
        """Draw names and values; `_` in a name is a blank."""
        drawn = Table.grid(padding=(0, 2))
        for name, value in facts.items():
            label = Text(name.replace("_", " "), style="dim")
            drawn.add_row(label, Text(self.clean(value)))
        self.show(drawn)

    def step(self, done: Step) -> None:
        """Draw one step of a setup as it ends."""
        detail = formatting.one_line(self.clean(done.detail), 66)
        seconds = formatting.duration(done.seconds)
        style = _STYLES.get(done.result, "bold red")
        self.show(
            Text.assemble(
                (f"{done.result:<8} ", style), f"{done.name:<12} {seconds:>6}  {detail}"
            )
        )

    def say(self, *lines: str) -> None:
        """Print lines of the scene."""
        for line in lines:
            self.show(Text(self.clean(line)))

    def show(self, *things: RenderableType) -> None:
        """Draw anything, within the scene."""
        self._print(*map(_indented, things))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Draw a table; words of a state in its colour."""
        drawn = Table(
            *columns, box=None, pad_edge=False, padding=(0, 2), header_style="dim"
        )
        for row in rows:
            cells = [self.clean(value) for value in row]
            drawn.add_row(*(Text(word, _STYLES.get(word, "")) for word in cells))
        self.show(drawn)

    @contextlib.contextmanager
    def live(self) -> Iterator[Callable[[RenderableType], None]]:
        """Open a place that is redrawn as things go on; yield what draws there.

        In a pipe only the last drawing is shown.
        """
        last: list[RenderableType] = []
        if not self._console.is_terminal:
            yield lambda thing: last.__setitem__(slice(None), [thing])
            self.show(*last)
            return
        with Live(console=self._console, auto_refresh=False) as live:
            yield lambda thing: live.update(_indented(thing), refresh=True)

    def closing(self, *lines: str) -> None:
        """Say how it all ended."""
        self._print("", _panel("\n".join(lines), "The end", "green"))

    def failure(self, title: str, text: str) -> None:
        """Say loudly what went wrong."""
        self._print("", _panel(self.clean(text), title, "bold red"))

    def _print(self, *things: RenderableType) -> None:
        """Print; in a pipe without the blanks that fill a line on a terminal."""
        if self._console.is_terminal:
            self._console.print(*things, sep="\n")
            return
        with self._console.capture() as captured:
            self._console.print(*things, sep="\n")
        lines = captured.get().splitlines()
        self._console.file.write("".join(f"{line.rstrip()}\n" for line in lines))
        self._console.file.flush()


def _indented(thing: RenderableType) -> Padding:
    return Padding(thing, (0, 0, 0, _INDENT), expand=False)


def _panel(text: str, title: str, style: str) -> Panel:
    return Panel(Text(text), title=Text(title), title_align="left", border_style=style)


def spark(values: Sequence[float]) -> str:
    """Return the values as a line of small bars; "" where there are none."""
    if not values:
        return ""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    top = len(_SPARKS) - 1
    return "".join(_SPARKS[round((value - low) / span * top)] for value in values)
