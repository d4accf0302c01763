"""A warning in a log: its kind, what it is about, and its text. Pure.

Two warnings of one kind and subject are the same: it is reported once, however its figures
change.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "not-a-number", "exploded", "traceback", "out-of-memory", "stalled", "idle"
]


@dataclass(frozen=True, slots=True)
class LogWarning:
    """One thing that looks wrong.

    Attributes:
        kind: What it is.
        text: In words, with its figures.
        subject: The metric, or the class of the exception; "" where there is but one.
    """

    kind: Kind
    text: str
    subject: str = ""

    @property
    def key(self) -> str:
        """What is the same whenever this warning is said again of the same job."""
        return f"{self.kind} {self.subject}"

    @property
    def ends_program(self) -> bool:
        """Whether a program that says so is likely to end within seconds."""
        return self.kind in {"traceback", "out-of-memory"}

    def __str__(self) -> str:
        return self.text
