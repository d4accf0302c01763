"""Several sandboxes under one name, and which of them come first. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox_ops.config.sources import SettingValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What the user says of their sandboxes together.

    Attributes:
        groups: The names of each group's sandboxes.
        order: Those that come first.
        avoid: Those that are taken only where they are named.
    """

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    avoid: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Mapping[str, SettingValue]) -> "Fleet":
        """Read the values of `groups`, `order` and `avoid`."""
        texts = {
            name: tuple(map(str, setting.value))
            for name, setting in settings.items()
            if isinstance(setting.value, tuple)
        }
        pairs = (text.partition("=") for text in texts.get("groups", ()))
        return cls(
            groups={name: tuple(of.split(",")) for name, _, of in pairs},
            order=texts.get("order", ()),
            avoid=texts.get("avoid", ()),
        )

    def preferred(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the sandboxes by the user's order, without those to avoid."""
        known = [name for name in names if name not in self.avoid]
        first = [name for name in self.order if name in known]
        return tuple(dict.fromkeys((*first, *known)))
