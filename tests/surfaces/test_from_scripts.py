"""docs/how-to/from-scripts.md: every line of it, in its order, on two machines."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from command_line import PROGRAM, cli
from gitproject import GitProject, make_git_project
from gpus import give_gpus
from sshd_files import PLAIN_PYTHON

PAGE = Path(__file__).parents[2] / "docs/how-to/from-scripts.md"
TRAINING = """
import argparse, json, pathlib
options = argparse.ArgumentParser()
for name in ("trainer", "seed", "out", "model"):
    options.add_argument("--" + name)
run = options.parse_args()
for step in range(1, 4):
    loss = len(run.trainer) + int(run.seed) / step
    print(f"step {step}/3 loss={loss:.3f}", flush=True)
for path in map(pathlib.Path, (run.out, run.model)):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"loss": loss}))
"""
AGGREGATE = """
import pathlib, sys
rows = pathlib.Path(sys.argv[1]).read_text().splitlines()
pathlib.Path("results/summary.txt").write_text(f"{len(rows)} runs\\n")
"""


def blocks(kind: str) -> list[str]:
    found = re.findall(
        rf"^```{kind}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return list(map(str, found))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> GitProject:
    """A project whose user has two machines with two GPUs each."""
    lines = ['default = "gpu1"']
    for name in ("gpu1", "gpu2"):
        home = tmp_path / name
        home.mkdir()
        give_gpus(home, 2)
        lines += [
            f"[sandboxes.{name}]",
            f'link = {{ command = ["env", "HOME={home}", "PYTHONPATH={PLAIN_PYTHON}", "sh"] }}',
            f'workspace = "{home}"',
        ]
    config = tmp_path / "config" / "sandbox-ops" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("\n".join(lines) + "\n")
    config.chmod(0o600)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    project = make_git_project(tmp_path / "git", "scripted")
    (toml,) = blocks("toml")
    files = {
        "train.py": TRAINING,
        "aggregate.py": AGGREGATE,
        "sandbox.toml": toml,
        ".gitignore": "results/\nlogs/\nruns/\n*.svg\n",
    }
    project.commit(files, "First commit", push=True)
    return project


def run(project: GitProject, line: str) -> str:
    program, *words = shlex.split(line)
    assert program == "sandbox-ops"
    done = cli(*words, cwd=project.clone, timeout_s=120)
    assert done.returncode == 0, (line, done)
    return done.stdout


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_every_line_that_takes_the_place_of_a_script_does_so(
    project: GitProject,
) -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    shown = {line: run(project, line) for line in lines}
    started = [line for line in lines if " train --name t1 --set" in line]
    assert "t1: 6 jobs started" in shown[started[0]]
    assert "t1: 2 jobs started; 6 cells skipped" in shown[started[1]]
    assert "t1: 0 jobs started; 8 cells skipped" in shown["sandbox-ops train --name t1 --failed"]  # fmt: skip
    home = project.clone / "results"
    brought = {path.name for path in home.iterdir()}
    assert {"t1-trainerppo-seed1.json", "fill-seed11.json", "fill-seed14.json"} <= brought  # fmt: skip
    assert (home / "summary.txt").read_text() == "8 runs\n"
    assert (project.clone / "t1.svg").exists()
    pushed = project.git("ls-tree", "-r", "--name-only", "results/t1", at=project.origin)  # fmt: skip
    names = pushed.splitlines()
    assert "results/t1-trainerhet-seed4.json" in names
    assert not [name for name in names if name.endswith((".pt", "/log"))]


def test_the_page_names_no_other_program_than_ours() -> None:
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) > 20
    assert all(line.startswith("sandbox-ops ") for line in lines)
    listed = subprocess.run([PROGRAM, "--list"], capture_output=True, text=True, check=True)  # fmt: skip
    for line in lines:
        assert f" {line.split()[1]} " in f" {listed.stdout} ".replace("\n", " ")
