"""Which metric makes a run the best of a group, and which way. Pure."""

import re
from dataclasses import dataclass
from typing import Literal

from sandbox_ops.errors import UsageError

_TEXT = re.compile(r"(?:(min|max):)?([^\s:,=]{1,64})")


@dataclass(frozen=True, slots=True)
class BestBy:
    """Which metric makes a run the best, and which way.

    Attributes:
        metric: Its name; "" for the loss, whatever it is called.
        way: "min" or "max".
    """

    metric: str = ""
    way: Literal["min", "max"] = "min"


def read(text: str) -> BestBy:
    """Read `accuracy`, `max:accuracy` or `min:loss`; "" is the lowest loss.

    A name alone is the lowest where it ends in loss, error or the like, else the highest.

    Raises:
        UsageError: It is none of these.
    """
    if not text:
        return BestBy()
    match = _TEXT.fullmatch(text)
    if match is None:
        raise UsageError(
            f"a metric is NAME, min:NAME or max:NAME, not {text!r}",
            "For example: max:accuracy",
        )
    way, name = match.groups()
    is_low = way == "min" if way else name.lower().endswith(_LOW)
    return BestBy(name, "min" if is_low else "max")


_LOW = (
    "loss",
    "error",
    "err",
    "perplexity",
    "ppl",
    "mse",
    "mae",
    "rmse",
    "nll",
    "time",
)
