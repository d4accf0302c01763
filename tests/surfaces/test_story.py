"""The whole story, as its users live it: each step a client of its own."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from command_line import PROGRAM, cli
from gitproject import GitProject
from sshd import SshServer
from waiting import wait_until

TRAINING = """
import pathlib, time
for step in range(1, 31):
    print(f"step {step}/30 loss={1 / step:.3f}", flush=True)
    time.sleep(0.1)
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/model.pt").write_text("weights of the second commit")
"""
CONFIGURED = """
[project]
outputs = ["models/"]
[project.train]
command = "python3 train.py"
"""


def answer(*arguments: str, cwd: Path) -> dict[str, Any]:
    done = cli(*arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done
    output: dict[str, Any] = json.loads(done.stdout)
    return output


def train_and_kill_the_client(clone: Path) -> None:
    """Start the training, see it begin, kill -9 whoever started it."""
    client = subprocess.Popen(
        [PROGRAM, "train", "--name", "story", "--watch"],
        cwd=clone,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert client.stdout
    wait_until(lambda: client.stdout and b"step 3/30" in client.stdout.readline(), 30)
    client.send_signal(signal.SIGKILL)
    client.wait(10)
    client.stdout.close()


def test_code_goes_there_trains_outlives_its_client_and_comes_home(
    sshd: SshServer, git_project: GitProject
) -> None:
    clone = git_project.clone
    toml = sshd.write_toml(clone, CONFIGURED).read_text("utf-8")
    git_project.commit({"sandbox.toml": toml, ".gitignore": "models/\n"}, push=True)
    answer("setup", cwd=clone)

    git_project.commit({"train.py": TRAINING})
    synced = answer("sync", "--push", cwd=clone)
    assert synced["pushed"] is True
    assert synced["commit_after"] == git_project.head

    train_and_kill_the_client(clone)

    def found() -> dict[str, Any]:
        jobs = answer("jobs", cwd=clone)["jobs"]
        return next(job for job in jobs if job["name"] == "story")

    assert found()["state"] in {"running", "succeeded"}
    wait_until(lambda: found()["state"] == "succeeded", 30)
    job = found()
    assert job["exit_code"] == 0

    came = answer("fetch", job["id"], cwd=clone)
    assert "models/model.pt" in {file["path"] for file in came["files"]}
    weights = (clone / "models/model.pt").read_text("utf-8")
    assert weights == "weights of the second commit"
    record = json.loads((clone / f"logs/{job['id']}/run.json").read_text("utf-8"))
    assert record["commit"] == git_project.head

    left = answer("reset", cwd=clone)
    assert left["commit_after"] == git_project.head
    assert left["stopped"] == []
