"""What a query names and no run has: an error that names what there is. Pure.

Words of our own (states, formats) are checked without any run; a setting, a metric, a
group or a tag exists where a run has it. While runs have not said their first metric, a
name may still become one: then nothing is refused.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence

from sandbox_ops.errors import NotFoundError
from sandbox_ops.models.runs import Run
from sandbox_ops.workflows.run_query import FIELDS, RunQuery, value_of

_MOST = 12
_MOST_CHARACTERS = 70


def check_labels(query: RunQuery, runs: Sequence[Run]) -> None:
    """Check the groups and tags of a query.

    Args:
        query: The query.
        runs: All there are.

    Raises:
        NotFoundError: No run has one of them; it names those that there are.
    """
    if not runs:
        return
    groups = dict.fromkeys(run.group for run in runs if run.group)
    tags = dict.fromkeys(tag for run in runs for tag in run.tags)
    for noun, wanted, known in (
        ("group", query.groups, groups),
        ("tag", query.tags, tags),
    ):
        for name in wanted:
            if name not in known:
                hints = tuple(_listed(f"{noun}s", known)) or (
                    f"No run has a {noun} yet.",
                )
                raise NotFoundError(
                    f"no run has the {noun} `{name}`", *_near(name, known), *hints
                )


def check_values(query: RunQuery, runs: Sequence[Run]) -> None:
    """Check the names that a query compares and sorts by.

    Args:
        query: The query.
        runs: Those it is about, with their metrics where these are needed.

    Raises:
        NotFoundError: None of them has a value of that name; it names those that there are.
    """
    for name in sorted(query.names):
        has_it = name in FIELDS or any(value_of(run, name) is not None for run in runs)
        if not has_it and _is_settled(name, runs):
            raise _unknown(name, runs)


def _is_settled(name: str, runs: Sequence[Run]) -> bool:
    """Whether no run will have it that is to come: one at least has said what it has."""
    if name.startswith("settings."):
        return bool(runs)
    return any(
        run.metrics is not None and (run.metrics or run.job.state.ended) for run in runs
    )


def _unknown(name: str, runs: Sequence[Run]) -> NotFoundError:
    settings = dict.fromkeys(each for run in runs for each in run.settings)
    metrics = dict.fromkeys(each for run in runs for each in run.metrics or ())
    what = "setting" if name.startswith("settings.") else "setting, metric or field"
    return NotFoundError(
        f"none of these runs has a {what} `{name}`",
        *_near(name, (*FIELDS, *settings, *metrics)),
        *_listed("settings", settings),
        *_listed("metrics", metrics),
        *_listed("fields", FIELDS),
    )


def _near(name: str, known: Iterable[str]) -> tuple[str, ...]:
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    return (f"Did you mean `{near[0]}`?",) if near else ()


def _listed(title: str, names: Iterable[str]) -> Iterator[str]:
    """Yield names, so many as fit on a line and are worth reading; nothing of none."""
    known = list(names)
    shown = known[:_MOST]
    while len(shown) > 1 and len(", ".join(shown)) > _MOST_CHARACTERS - len(title):
        shown.pop()
    if known:
        more = ", ..." if len(shown) < len(known) else ""
        yield f"{title}: {', '.join(shown)}{more}"
