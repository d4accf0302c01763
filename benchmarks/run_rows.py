"""Rows about runs: ten thousand of them listed, by a clone that knows them and by a new one."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import records
from bench import OURS, Bench, opened
from gitproject import make_git_project
from measure import Beside, Contenders, Row, compared, interleaved, once, seconds

_RUNS = 10_000
_GOAL_S = 0.5
_READ = "import json, sys\nfor line in open(sys.argv[1], 'rb'):\n    json.loads(line)\n"


def runs(bench: Bench) -> Iterator[Row]:
    """Say what `runs` costs with ten thousand runs, whole processes."""
    project = make_git_project(bench.folder / "git", "bucket")
    clone = project.clone
    bench.server.write_toml(clone, config_home=bench.folder / "config")
    with opened(bench.server) as sandbox:
        assert sandbox.run("true").ok
    _fill_up(records.folder_of(bench.server.home), project.url)
    history = clone / ".git/sandbox-ops/runs.jsonl"
    program = str(Path(sys.executable).with_name("sandbox-ops"))
    env = {**os.environ, "XDG_CONFIG_HOME": str(bench.folder / "config")}
    env.pop("PYTHONDONTWRITEBYTECODE", None)

    def typed(*words: str) -> None:
        subprocess.run(
            [program, "runs", *words], check=True, cwd=clone, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        )  # fmt: skip

    first_s = once(typed)
    first = f"`runs`, {_RUNS} of them, the first time in a clone"
    yield Row(first, seconds(first_s), (Beside(""),))
    floor = "`python -c`, the same lines by `json.loads`"
    contenders: Contenders = {
        OURS: typed,
        floor: lambda: subprocess.run(
            [sys.executable, "-c", _READ, str(history)], check=True
        ),
    }
    medians = interleaved(contenders, bench.fewer(6))
    yield _within(f"`runs`, {_RUNS} of them, known", medians[OURS])
    yield compared("the same", medians, {})
    used_s = [_processor_s(typed) for _ in "12345"]
    yield Row("its processor time", seconds(sorted(used_s)[2]), (Beside(""),))
    sorts_s = [
        once(lambda: typed("--where", "lr<0.5", "--sort", "seed")) for _ in "123"
    ]
    yield _within("`runs --where 'lr<0.5' --sort seed`", sorted(sorts_s)[1])


def _processor_s(work: Callable[[], None]) -> float:
    """Return what a process that is waited for used of a processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime)
    return sum(used)


def _within(what: str, value_s: float) -> Row:
    met = value_s <= _GOAL_S
    return Row(what, seconds(value_s), (Beside("", goal=f"{_GOAL_S} s", met=met),))


def _fill_up(base: Path, url: str) -> None:
    now = time.time()
    for number in range(10, _RUNS + 10):
        job = records.write(base, number, age_days=1, now=now)
        settings = {"lr": str(number % 100 / 100), "seed": str(number)}
        record = {
            "format": 1, "commit": f"{number:040x}", "branch": "main", "repo": url,
            "command": "python train.py", "settings": settings, "gpus": [],
            "dirty": False, "untracked": [], "cwd": "/workspace/bucket", "seed": number,
            "env_names": ["PYTHONUNBUFFERED", "SANDBOX_JOB"], "environment": "0" * 64,
            "environment_is_current": True, "python": "3.12.1", "driver": "580.1",
        }  # fmt: skip
        (job / "run.json").write_text(json.dumps(record, indent=2) + "\n")
        (job / "log").write_text("step 1/2 loss=0.5\nstep 2/2 loss=0.25\n")
    (base / "last").write_text(f"{_RUNS + 9}\n")
