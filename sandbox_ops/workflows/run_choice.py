"""The runs that a query chooses, with as few metrics read as it takes."""

from collections.abc import Callable, Sequence

from sandbox_ops.models.runs import Run
from sandbox_ops.workflows import run_names
from sandbox_ops.workflows.run_query import RunQuery


def selected(
    query: RunQuery,
    runs: Sequence[Run],
    with_metrics: Callable[[Sequence[Run]], Sequence[Run]],
) -> tuple[list[Run], int]:
    """Return the runs that are wanted with their metrics, and how many fit.

    Args:
        query: Which.
        runs: All there are, newest first.
        with_metrics: Reads those that are not known; asked for no more than is needed.

    Raises:
        NotFoundError: The query names a group, a tag or a value that no run has.
    """
    run_names.check_labels(query, runs)
    fitting = query.candidates(runs)
    if query.needs_metrics(fitting):
        fitting = list(with_metrics(fitting))
    run_names.check_values(query, fitting)
    fitting = query.chosen(fitting)
    shown = fitting[: query.limit] if query.limit else fitting
    return list(with_metrics(shown)), len(fitting)
