"""In which order runs were asked for. Pure.

Of one store the numbers say it: no number is given twice, and a machine's clock may be set, or a
client's first question to it may be a little off. Among stores there are only the clocks.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from sandbox_ops.models.runs import Run


def newest_first(runs: Iterable[Run]) -> list[Run]:
    """Return the runs, those that were asked for last first."""
    by_number = sorted(runs, key=lambda run: (run.store, run.number))
    timed: list[tuple[float, int, Run]] = []
    for _, of_store in groupby(by_number, key=lambda run: run.store):
        timed += _timed(list(of_store))
    return [run for *_, run in sorted(timed, key=lambda each: each[:2], reverse=True)]


def _timed(runs: Sequence[Run]) -> Iterator[tuple[float, int, Run]]:
    """Yield the runs of one store, given by number, with times in the same order."""
    times: list[float] = []
    for run in runs:  # one that never began has no time: that of the one before it
        times.append(run.job.requested_at or (times[-1] if times else 0))
    latest = float("inf")
    for run, time in zip(reversed(runs), reversed(times), strict=True):
        latest = min(latest, time)
        yield latest, run.number, run
