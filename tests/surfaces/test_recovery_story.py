"""The tutorial docs/tutorial/recovery.md, line by line, on a machine with two GPUs.

The GPUs are a stand-in for nvidia-smi that shows real processes; the client is killed by a
signal, the machine restarted with all that ran there, the full disk is one.
"""

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM
from containers import Container, start_container
from gitproject import GitProject, make_git_project
from gpus import Gpus, give_gpus
from mounts import Mounts, private_mounts
from waiting import wait_until

PAGE = Path(__file__).parents[2] / "docs/tutorial/recovery.md"
_HOLDS_ITS_GPUS = """
import os, pathlib
for gpu in filter(None, os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")):
    folder = pathlib.Path({folder!r})
    others = [each for each in (folder / "holders").glob(f"{{gpu}}.*")
              if os.path.exists(f"/proc/{{each.suffix[1:]}}/cwd")]
    with (folder / "shared").open("a") as shared:
        shared.writelines(f"{{gpu}} {{os.getpid()}} {{other.name}}\\n" for other in others)
    (folder / "holders" / f"{{gpu}}.{{os.getpid()}}").write_text("20000\\n")
    with (folder / "began").open("a") as began:
        began.write(f"{{os.environ['SANDBOX_JOB_ID']}} {{gpu}}\\n")
"""


def blocks(kind: str) -> list[str]:
    found = re.findall(
        rf"^```{kind}\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return list(map(str, found))


@dataclass
class Tutorial:
    """The lines of the page, each run as it stands there.

    Attributes:
        lines: Those that were not run yet.
    """

    server: Container
    project: GitProject
    gpus: Gpus
    mounts: Mounts
    scratch: Path
    lines: list[str] = field(
        default_factory=lambda: [
            line for block in blocks("sh") for line in block.splitlines()
        ]
    )

    def words(self, begins: str) -> list[str]:
        """Return the words of the next line."""
        line = self.lines.pop(0)
        assert line.startswith(begins), f"{line!r} is next, not {begins!r}"
        line = line.replace("/scratch", str(self.scratch))
        program, *rest = shlex.split(line)
        return [PROGRAM if program == "sandbox-ops" else program, *rest]

    def run(self, begins: str, code: int = 0) -> str:
        """Run the next line; return what it printed."""
        done = self._done(self.words(begins))
        assert done.returncode == code, done
        return done.stdout

    def ask(self, *words: str) -> dict[str, Any]:
        """Ask for the same as an object, for the test to look at."""
        done = self._done([PROGRAM, *words, "--json"])
        value = json.loads(done.stdout)
        assert isinstance(value, dict)
        return value

    def _done(self, words: list[str]) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            words,
            cwd=self.project.clone,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def killed(self, begins: str) -> None:
        """Run the next line, and kill it once a job of it is there."""
        jobs = self.server.home / ".sandbox-ops/v1/home/groups/t1"
        with subprocess.Popen(
            self.words(begins),
            cwd=self.project.clone,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as client:
            wait_until(jobs.exists, 60, what="the first job")
            os.kill(client.pid, signal.SIGKILL)

    def states(self) -> dict[str, int]:
        counts = self.ask("jobs", "t1")["counts"]
        assert isinstance(counts, dict)
        return counts


@pytest.fixture
def tutorial(tmp_path: Path) -> Iterator[Tutorial]:
    scratch, boot_id = tmp_path / "scratch", tmp_path / "boot_id"
    boot_id.write_text("0f0f\n")
    with private_mounts() as mounts:
        mounts.tmpfs(scratch, "size=8m")
        mounts.do(lambda: (scratch / "old.tar").write_bytes(bytes(6 << 20)))
        server = mounts.do(lambda: start_container(tmp_path / "server", boot_id))
        try:
            gpus = give_gpus(server.home, 2)
            site = gpus.folder / "site"
            site.mkdir()
            code = _HOLDS_ITS_GPUS.format(folder=str(gpus.folder))
            (site / "sitecustomize.py").write_text(code)
            with (server.home / ".profile").open("a") as profile:
                profile.write(f"export PYTHONPATH={site}\n")
            yield Tutorial(server, project_of(server, tmp_path, scratch), gpus, mounts, scratch)  # fmt: skip
        finally:
            server.close()


def project_of(server: Container, tmp_path: Path, scratch: Path) -> GitProject:
    """Make the project of the page."""
    project = make_git_project(tmp_path / "git", "recovered")
    files = {
        block.partition("\n")[0].removeprefix("# "): block
        for block in blocks("python")
        if block.startswith("# ")
    }
    assert set(files) == {"train.py", "aggregate.py"}
    (configured,) = blocks("toml")
    configured = configured.replace("/scratch", str(scratch))
    toml = server.write_toml(project.clone, configured).read_text("utf-8")
    files |= {"sandbox.toml": toml, ".gitignore": "results/\nlogs/\n*.png\n"}
    project.commit(files, "First commit", push=True)
    return project


def starts_it(tutorial: Tutorial) -> None:
    assert tutorial.ask("setup")["steps"]

    shown = tutorial.run("sandbox-ops train --name t1")
    assert "t1: 12 jobs would be started, in this order" in shown
    tutorial.killed("sandbox-ops train --name t1")
    tutorial.run("sandbox-ops train --name t1")
    assert sum(tutorial.states().values()) == 12
    assert "t1" in tutorial.run("sandbox-ops monitor t1")


def reboots_the_machine(tutorial: Tutorial) -> int:
    """Return how many cells did not succeed in the end."""

    def is_halfway() -> bool:  # four have ended when the sixth begins
        return len(tutorial.gpus.lines("began")) >= 6

    wait_until(is_halfway, 120, what="the sixth run")
    before = tutorial.ask("jobs", "t1")
    tutorial.mounts.do(tutorial.server.stop)
    (tutorial.scratch.parent / "boot_id").write_text("f0f0\n")
    tutorial.mounts.do(lambda: tutorial.server.start(busy=True))

    assert "lost (reboot)" in tutorial.run("sandbox-ops jobs t1")
    after = {job["cell"]: job for job in tutorial.ask("jobs", "t1")["jobs"]}
    for job in before["jobs"]:
        if job["state"] in {"succeeded", "failed"}:
            assert after[job["cell"]]["state"] == job["state"]
    waited = tutorial.words("sandbox-ops wait t1")
    assert tutorial._done(waited).returncode != 0
    tutorial.run("sandbox-ops jobs t1")
    states = tutorial.states()
    assert states["failed"] == 2
    assert 1 <= states["lost"] <= 2
    assert sum(states.values()) == 12
    return states["failed"] + states["lost"]


def finds_out_why_and_repairs_it(tutorial: Tutorial) -> None:
    assert "No space left on device" in tutorial.run("sandbox-ops logs t1/3")
    assert "old.tar" not in tutorial.run("sandbox-ops run -- df")
    tutorial.run("sandbox-ops run -- rm")
    assert "loss=nan" in tutorial.run("sandbox-ops logs t1/12")
    (fix,) = blocks("diff")
    broken, repaired = (f"{line[1:]}\n" for line in fix.splitlines())
    program = tutorial.project.clone / "train.py"
    assert broken in program.read_text()
    program.write_text(program.read_text().replace(broken, repaired))
    tutorial.run("git commit")
    tutorial.run("sandbox-ops sync --push")


def runs_the_missing_ones_again(tutorial: Tutorial, missing: int) -> None:
    again = tutorial.run("sandbox-ops train --name t1 --failed --dry-run")
    assert f"t1: {missing} jobs would be started" in again
    again = tutorial.run("sandbox-ops train --name t1 --failed")
    assert "ran other code" in again
    tutorial.run("sandbox-ops wait t1")
    assert tutorial.states() == {"succeeded": 12}
    assert "12 of 12 succeeded" in tutorial.run("sandbox-ops logs t1/then")
    assert tutorial.gpus.lines("shared") == []
    assert len(tutorial.gpus.lines("began")) == 12 + missing


def brings_it_home(tutorial: Tutorial) -> None:
    tutorial.run("sandbox-ops fetch t1")
    brought = tutorial.ask("fetch", "t1")["files"]
    results = {file["path"]: file["sha256"] for file in brought}
    assert len([path for path in results if path.startswith("results/t1-")]) == 12
    assert "results/summary.json" in results
    for path, sha256 in results.items():
        data = (tutorial.project.clone / path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == sha256, path

    assert "t1-lr1e-2" in tutorial.run("sandbox-ops runs --group t1")
    tutorial.run("sandbox-ops diff remote-12")
    different = tutorial.ask("diff", "remote-12", "t1/12")
    assert different["commit"][0] != different["commit"][1]
    assert different["settings"] == {}
    tutorial.run("sandbox-ops plot t1")
    assert (tutorial.project.clone / "t1.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_the_tutorial_of_a_bad_day_goes_as_it_says(tutorial: Tutorial) -> None:
    starts_it(tutorial)
    missing = reboots_the_machine(tutorial)
    finds_out_why_and_repairs_it(tutorial)
    runs_the_missing_ones_again(tutorial, missing)
    brings_it_home(tutorial)
    assert tutorial.lines == [], "lines of the page that were not run"
