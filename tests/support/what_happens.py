"""The table "what happens to my job if ...": each row stands at the test that proves it.

`python tests/support/what_happens.py` rewrites the page; a test checks that it was done.
"""

import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "what-happens-to-my-job.md"
_MEASURED = """\
762 schedules in eight runs, from seeds 100000, 100100 ... 100700:
  466 client killed, 50 container restarted, 167 disk full, 121 git killed, 2154 jobs,
  158 leader killed, 182 link slow, 40 reboot, 322 sessions killed, 336 supervisor
  killed, 103 tree's disk full, 618 trees; seven runs with 0 broken, one with 9
a client killed at 200 points of a start: 124 times one job, 76 times nothing
two clients, 200 random acts each, from seed 469221: 68 claim, 65 look, 80 read, 61 run,
  60 start, 66 stop; 0 wrong
200,000 old jobs: start 0.04 s, newest 50 0.16 s, status 0.37 s at most; pruned in 231 s"""
F = TypeVar("F", bound=Callable[..., object])

_HEAD = """\
# What happens to my job if ...

Each row was written at the test that proves it, and this page by `{command}`.

| if ... | then | proved by |
|---|---|---|
"""
_FOOT = """
## How hard it was tried
The rows of chance are tried by `make test-slow`, as much as their constants say, and most by
`make soak` (2,000 schedules). Each run ends with what it tried and from which seed. On 23 November 2026, on two cores that others used too:

```
{measured}
```
The nine were in the run from seed 100100, which they ended after 62 schedules; the first in
100161: jobs ran, and were missing from the list. It did not come back with those seeds. The likely
cause is fixed: the note of the last number given out could be lost on a full disk, and the list
then ended at the first gap.

A schedule is 4 to 7 steps on one machine: jobs started, commands run, jobs stopped, a clone
edited and then reset or synced; with faults between and during them. Every command notes
outside of our reach how often it ran and how it ended, and every edit has a text of its own,
so that afterwards the records and the clone are held against what really was. Again, with a
seed: `SANDBOX_OPS_SEED=100000 SANDBOX_OPS_SCHEDULES=100 .venv/bin/pytest -k invariants`.

How it works: [jobs](../explanation/jobs.md). What is on the machine:
[the job folder](job-folder.md).
"""


def row(cause: str, effect: str) -> Callable[[F], F]:
    """Mark a test as the proof of a row of the table.

    Args:
        cause: Completes "what happens to my job if".
        effect: What the test asserts, in the user's words.
    """

    def mark(test: F) -> F:
        rows: list[tuple[str, str]] = [(cause, effect), *getattr(test, "rows", [])]
        test.rows = rows  # type: ignore[attr-defined]
        return test

    return mark


def page() -> str:
    """Return the page as the tests have it now."""
    lines = []
    tests = ROOT / "tests"
    for file in sorted(tests.glob("integration/**/test_*.py")):
        path = file.relative_to(tests)
        for name, test in inspect.getmembers(_load(file), inspect.isfunction):
            for cause, effect in getattr(test, "rows", []):
                at = inspect.getsourcelines(test)[1]
                proof = f"[{name}](../../tests/{path})"
                lines.append((file.name, at, cause, effect, proof))
    table = "".join(
        f"| {cause} | {effect} | {proof} |\n"
        for _, _, cause, effect, proof in sorted(lines)
    )
    head = _HEAD.format(command="python tests/support/what_happens.py")
    return head + table + _FOOT.format(measured=_MEASURED)


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"rows_of_{file.stem}", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    from what_happens import page as its_page  # the module that the tests mark

    PAGE.write_text(its_page(), "utf-8")
