"""Runs the tests, and runs alone once more what failed in the crowd. Hides nothing.

usage: python tests/support/second_run.py [--title NAME] PYTEST_ARGUMENTS...

- What failed is run again, one at a time. What passes then is listed by name at the end,
  here and in CI: some promises are about seconds, and the first run shares its cores.
- A chance test (marked `chance`, or a property of hypothesis) that failed is run again with
  the seed it had, to show the failure alone. It stays failed, whatever comes of that:
  another try is another throw of the dice.
- The files of the tests lie in memory where there is room for them: they make and remove
  thousands, and a disk takes its time for each.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

REPORT = "SANDBOX_OPS_FAILURES"
"""Names the file that a run writes its failures to."""
_TESTS_FAILED = 1
_ROOM_BYTES = 6 * 1024**3


def write_failures(terminalreporter: pytest.TerminalReporter) -> None:
    """Keep what failed for the second run: its name, and its seed if chance had a part."""
    path = os.environ.get(REPORT)
    if not path:
        return
    stats = terminalreporter.stats
    reports: list[Any] = [*stats.get("failed", ()), *stats.get("error", ())]
    failures: dict[str, dict[str, object]] = {}
    for report in reports:
        properties = dict(getattr(report, "user_properties", ()))
        failures[report.nodeid] = {
            "chance": "chance" in getattr(report, "keywords", ()),
            "seed": properties.get("seed"),
        }
    Path(path).write_text(json.dumps(failures))


def main(arguments: list[str]) -> int:
    """Run pytest, then what failed; return the exit code of the whole."""
    title = "tests"
    if arguments[:1] == ["--title"]:
        title, arguments = arguments[1], arguments[2:]
    with tempfile.TemporaryDirectory(
        prefix="t", dir=_memory(), ignore_cleanup_errors=True
    ) as folder:
        report = Path(folder) / "failures.json"
        (Path(folder) / "tmp").mkdir()
        place = {"TMPDIR": f"{folder}/tmp"}
        # short: paths of sockets have 108 bytes at most
        arguments = [*arguments, f"--basetemp={folder}/p"]
        code = _pytest(arguments, {**place, REPORT: str(report)})
        if code != _TESTS_FAILED or not report.exists():
            return code
        failures: dict[str, dict[str, Any]] = json.loads(report.read_text())
        passed, failed = _run_again(arguments, failures, place)
    print(f"\n{title}: first run and second run")  # noqa: T201
    for name in passed:
        print(f"passed only the second time: {name}")  # noqa: T201
    for name in failed:
        print(f"FAILED: {name}")  # noqa: T201
    return _TESTS_FAILED if failed else 0


def _run_again(
    arguments: list[str], failures: dict[str, dict[str, Any]], place: dict[str, str]
) -> tuple[list[str], list[str]]:
    """Run each test that failed alone; return what passed then, and what is to be told."""
    alone = [a for a in arguments if not Path(a).exists()]
    alone += ["-n", "0", "--dist", "no"]
    failed, passed = [], []
    for name, about in failures.items():
        seed = {"SANDBOX_OPS_SEED": str(about["seed"])} if about["seed"] else {}
        again = _pytest([*alone, name], {**place, **seed})
        how = f"seed {about['seed']}, " if about["seed"] else ""
        outcome = "passed" if again == 0 else "failed"
        if about["chance"]:
            failed.append(f"{name} ({how}{outcome} alone; chance is not retried)")
        elif again:
            failed.append(f"{name} (failed alone, too)")
        else:
            passed.append(name)
    return passed, failed


def _memory() -> Path | None:
    """Return a folder in memory that has room for all files of a run, if there is one."""
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK):
        return None
    system = os.statvfs(folder)
    has_room = system.f_bavail * system.f_frsize >= _ROOM_BYTES
    return folder if has_room and not system.f_flag & os.ST_NOEXEC else None


def _pytest(arguments: list[str], environment: dict[str, str]) -> int:
    command = [sys.executable, "-m", "pytest", *arguments]
    done = subprocess.run(command, env={**os.environ, **environment}, check=False)
    return done.returncode


def mark_chance(items: list[pytest.Item]) -> None:
    """Mark the properties of hypothesis: chance has a part in them."""
    for item in items:
        if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
            item.add_marker(pytest.mark.chance)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
