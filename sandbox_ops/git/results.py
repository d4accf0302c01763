"""Untracked files that are results and no code: what `fetch` brought home. Pure.

They are on the machine already, so nobody has to be told that they stay here, and no
sync sends them back. A file that git tracks is the project's own wherever it lies.
"""

from collections.abc import Iterable

_OF_JOBS = tuple(
    f"{folder}/{job}/**"
    for folder in ("logs", "runs")
    for job in ("remote-*", "*/remote-*")
)


def left_out(outputs: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the pathspecs that leave them out.

    Args:
        outputs: The declared outputs, as relative patterns.
    """
    declared = (pattern for each in outputs for pattern in (each, f"{each}/**"))
    return (".", *(f":(exclude,glob){each}" for each in (*_OF_JOBS, *declared)))
