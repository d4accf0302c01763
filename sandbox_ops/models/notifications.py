"""Whom to tell what happens to jobs, and in what words. Frozen values, no I/O."""

from dataclasses import dataclass

FORMATS = ("ntfy", "slack", "discord", "json")
KINDS = ("started", "ended", "failed", "warning", "unreachable")
DEFAULT_KINDS = ("ended", "warning")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotifySettings:
    """Whom to tell, as the user's own configuration says it.

    Attributes:
        command: A shell line that is run on this computer; "" for none.
        webhook: A URL that is posted to; "" for none. It is a secret.
        format: One of `FORMATS`; "": by the URL.
        desktop: Whether to show it on this computer's desktop.
        always: Whether following and waiting notifies without being asked to.
        events: Some of `KINDS`; empty: `DEFAULT_KINDS`.
    """

    command: str = ""
    webhook: str = ""
    format: str = ""
    desktop: bool = False
    always: bool = False
    events: tuple[str, ...] = ()

    @property
    def is_configured(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self.command or self.webhook or self.desktop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message.

    Attributes:
        title: What happened, in a line: `gpu1: night succeeded`.
        text: More of it.
        facts: The same as values, for programs: those of the event.
        is_bad: Whether something went wrong.
    """

    title: str
    text: str
    facts: dict[str, object]
    is_bad: bool = False
