"""Timing side by side, and the one table that everything ends up in."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bench import OURS

Contenders = Mapping[str, Callable[[], object]]
_WARM_UPS = 2


@dataclass(frozen=True, slots=True)
class Beside:
    """What a value of ours is held against.

    Attributes:
        name: Whose value it is.
        shown: The value, formatted.
        ratio: Ours divided by it; None where a quotient says nothing.
        goal: What was asked for, or "" where it is there for information.
        met: Whether ours reaches the goal.
    """

    name: str
    shown: str = ""
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One thing of ours, and what it is held against."""

    what: str
    shown: str
    beside: tuple[Beside, ...]


def interleaved(contenders: Contenders, rounds: int) -> dict[str, float]:
    """Return the median seconds of each, one call a round, the order turning.

    What disturbs the machine for a while disturbs all of them alike.
    """
    names = list(contenders)
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(-_WARM_UPS, rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            took_s = once(contenders[name])
            if number >= 0:
                times[name].append(took_s)
    return {name: statistics.median(all_of) for name, all_of in times.items()}


def once(work: Callable[[], object]) -> float:
    """Return the seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def compared(
    what: str, medians: Mapping[str, float], goals: Mapping[str, float]
) -> Row:
    """Return the row of medians in seconds, the references with a goal first.

    Args:
        what: What was done.
        medians: As `interleaved` returns them, one of them `OURS`.
        goals: By reference, how many times as long ours may take.
    """
    others = [name for name in medians if name != OURS]
    others.sort(key=lambda name: name not in goals)
    value_s = medians[OURS]
    beside = tuple(against(n, value_s, medians[n], goals.get(n)) for n in others)
    return Row(what, seconds(value_s), beside)


def against(name: str, value_s: float, other_s: float, goal: float | None) -> Beside:
    """Return our time held against another."""
    ratio = value_s / other_s
    if goal is None:
        return Beside(name, seconds(other_s), ratio)
    goal_text = f"at most {goal:g}x"
    return Beside(name, seconds(other_s), ratio, goal_text, met=ratio <= goal)


def seconds(value_s: float) -> str:
    """Return a time with three digits that count."""
    if value_s >= 1:
        return f"{value_s:.3g} s"
    return f"{value_s * 1000:.3g} ms"


def mib(size_bytes: float) -> str:
    """Return a size in mebibytes."""
    return f"{size_bytes / (1 << 20):.0f} MiB"


def table(rows: Sequence[Row]) -> str:
    """Return the rows as one Markdown table."""
    lines = [
        "| what | sandbox-ops | beside it | its value | ratio | goal | |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        left = (row.what, row.shown)
        for beside in row.beside:
            ratio = "" if beside.ratio is None else f"{beside.ratio:.2f}x"
            verdict = {None: "", True: "met", False: "**missed**"}[beside.met]
            cells = (*left, beside.name, beside.shown, ratio, beside.goal, verdict)
            lines.append(f"| {' | '.join(cells)} |")
            left = ("", "")
    return "\n".join(lines)
