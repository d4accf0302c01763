"""The evaluation of agents' clients runs, and its checker believes no client."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from processes import Child

ROOT = Path(__file__).parents[2]
EVALUATION = [sys.executable, "-m", "benchmarks.agent_eval"]


def evaluation(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*EVALUATION, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.mark.slow
def test_every_client_does_a_step_and_is_right() -> None:
    done = evaluation("run", "--only", "quick")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if " of " in line]
    assert [(row[1], row[2], row[7]) for row in rows] == [
        ("ssh", "1", "4 of 4"),
        ("tools", "1", "4 of 4"),
        ("command line", "1", "4 of 4"),
    ], done.stdout


@pytest.mark.parametrize(
    ("command", "answer", "wrong"),
    [
        ("python3 step.py once 0.3 3", "3", ""),
        ("python3 step.py once 0.3 3", "0", "exit_code is known"),
        ("true", "3", "once ran once"),
    ],
    ids=["right", "wrong answer", "only claimed"],
)
@pytest.mark.slow
def test_a_served_scenario_is_checked_by_facts(
    command: str, answer: str, wrong: str, tmp_path: Path
) -> None:
    folder = tmp_path / "world"
    words = [*EVALUATION, "serve", "quick", str(folder)]
    with Child(
        words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as served:
        for line in served.stdout or ():
            if line.startswith("cd "):
                enter = line
            if "Leave nothing running" in line:
                break
        there = folder / "workspace" / "bucket-brigade"
        agent = f"{enter} ssh box 'cd {there} && {command}'; ssh -q -O exit box"
        subprocess.run(["bash", "-c", agent], check=True, timeout=30)
        (folder / "answers.json").write_text(json.dumps({"exit_code": answer}))
        checked = evaluation("check", "quick", str(folder))
        served.communicate(timeout=30)  # its stdin ends
    seen = [line for line in checked.stdout.splitlines() if line.startswith("WRONG")]
    assert checked.returncode == bool(wrong), checked.stdout + checked.stderr
    assert wrong in "".join(seen[:1])
