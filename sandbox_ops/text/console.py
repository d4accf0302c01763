"""A Rich console that passes only safe text, whatever is drawn on it."""

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from sandbox_ops.text import remote_text


class SafeConsole(Console):
    """Makes each text safe where Rich has text and style apart: its own colours stay."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Return what is drawn, in pieces."""
        for segment in super().render(renderable, options):
            text, style, control = segment
            yield segment if control else Segment(remote_text.safe(text), style)
