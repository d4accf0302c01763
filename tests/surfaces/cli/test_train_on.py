"""train --on: one training on one of several machines, a sweep over all of them."""

import json
import os
import random
import secrets
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, cli
from fleet import Machine, describe, end_all, make_machine, ran, with_setup
from gitproject import GitProject
from machines import fake_gpus
from waiting import wait_until

IDLE = "0, H100, GPU-a, 0, 4, 81559, 30, 580.1"
BUSY = "0, H100, GPU-a, 97, 40000, 81559, 60, 580.1"
COMMAND = 'echo {n} >>"$HOME/ran"; sleep 0.3; mkdir -p out; echo {n} >out/{n}'


@dataclass(frozen=True)
class Fleet:
    """A user with three machines."""

    git: GitProject
    machines: list[Machine]
    env: dict[str, str]

    def verb(
        self, *words: str, timeout_s: float = 100
    ) -> subprocess.CompletedProcess[str]:
        return cli(*words, cwd=self.git.clone, env=self.env, timeout_s=timeout_s)

    def sweep(self, n_cells: int) -> tuple[str, ...]:
        return (
            "train", "--on", "three", "--name", "t1", "--gpus", "0", "--slots", "2",
            "--set", f"n=1..{n_cells}", "--command", COMMAND,
        )  # fmt: skip

    @property
    def ran(self) -> dict[str, int]:
        return dict(ran(self.machines))


@pytest.fixture
def fleet(tmp_path: Path, git_project: GitProject) -> Iterator[Fleet]:
    with_setup(git_project)
    machines = [make_machine(tmp_path, name) for name in ("a", "b", "c")]
    yield Fleet(git_project, machines, describe(tmp_path, machines))
    end_all(machines)


def value_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout.count("\n") == 1, done
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def once(n_cells: int) -> dict[str, int]:
    return {str(n): 1 for n in range(1, n_cells + 1)}


def test_a_training_goes_to_the_first_machine_with_a_free_gpu_and_the_reasons_are_said(
    fleet: Fleet,
) -> None:
    fleet.machines[0].cut_off()
    fake_gpus(fleet.machines[1].home, BUSY)
    fake_gpus(fleet.machines[2].home, IDLE)
    done = fleet.verb("train", "--on", "any", "--json", "--", "echo", "hi")
    assert done.returncode == 0, done
    answer = value_of(done)
    assert answer["sandbox"] == "c"
    assert answer["placement"]["sandbox"] == "c"
    assert answer["placement"]["did"] == ["setup"]
    reasons = answer["placement"]["not_taken"]
    assert "no such box" in reasons["a"]
    assert "1 GPUs are wanted, 0 are free" in reasons["b"]
    assert "not b: 1 GPUs are wanted" in done.stderr
    fake = fleet.machines[2].home / "fake-gpus" / "devices"
    fake.write_text(f"{BUSY}\n")
    done = fleet.verb("train", "--on", "any", "--json", "--", "echo", "hi")
    assert done.returncode == 75
    done = fleet.verb("train", "--on", "any", "--queue", "--json", "--", "echo", "hi")
    assert value_of(done)["job"]["state"] == "queued"
    shown = value_of(fleet.verb("sandboxes", "--json"))["sandboxes"]
    assert shown[0]["reliability"]["answered"] == 0
    assert shown[2]["reliability"]["answered"] >= 3
    rows = fleet.verb("sandboxes").stdout.splitlines()
    assert rows[0].split()[-1] == "RELIABLE"
    assert "0 of 5" in rows[1]


def test_a_sweep_is_spread_watched_waited_for_fetched_and_stopped_as_one(
    fleet: Fleet,
) -> None:
    text = '[project]\nsetup = ["true"]\nverify = ["true"]\noutputs = ["out/"]\n'
    fleet.git.commit({"sandbox.toml": text}, push=True)
    done = fleet.verb(*fleet.sweep(12), "--json")
    assert done.returncode == 0, done
    answer = value_of(done)
    shares = {name: len(each["jobs"]) for name, each in answer["sandboxes"].items()}
    assert sum(shares.values()) == 12
    assert "12 of 12" in done.stderr
    done = fleet.verb("wait", "t1", "--on", "three", "--json")
    assert done.returncode == 0, done
    assert fleet.ran == once(12)
    done = fleet.verb("fetch", "t1", "--on", "three")
    assert done.returncode == 0, done
    fetched = sorted(path.name for path in (fleet.git.clone / "out").iterdir())
    assert fetched == sorted(once(12))
    for name in answer["sandboxes"]:
        assert (fleet.git.clone / "logs" / name / "remote-1" / "run.json").exists()
    done = fleet.verb("stop", "t1", "--on", "three", "--json")
    assert done.returncode == 0, done


def test_a_group_need_not_be_on_every_machine_that_is_asked_for_it(
    fleet: Fleet,
) -> None:
    words = [*fleet.sweep(2)]
    words[2] = "b"
    assert fleet.verb(*words).returncode == 0
    for verb in ("wait", "monitor", "jobs", "stop"):
        done = fleet.verb(verb, "t1", "--on", "all", "--json")
        assert done.returncode == 0, done
        answers = value_of(done)["sandboxes"]
        assert answers["a"]["error"]["kind"] == "not-found"
        assert "error" not in answers["b"]
    assert fleet.verb("wait", "t2", "--on", "all").returncode == 66


@pytest.mark.slow
def test_a_killed_client_loses_nothing_and_the_same_command_goes_on(
    fleet: Fleet,
) -> None:
    child = subprocess.Popen(
        [PROGRAM, *fleet.sweep(40)],
        cwd=fleet.git.clone,
        env={**os.environ, **fleet.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len(fleet.ran) >= 6, 60)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == -signal.SIGKILL
    done = fleet.verb(*fleet.sweep(40), "--json")
    assert done.returncode == 0, done
    assert fleet.verb("wait", "t1", "--on", "all").returncode == 0
    assert fleet.ran == once(40)
    done = fleet.verb(*fleet.sweep(40))
    assert "40 skipped" in done.stdout
    assert fleet.ran == once(40)


def start(fleet: Fleet, n_cells: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [PROGRAM, *fleet.sweep(n_cells)],
        cwd=fleet.git.clone,
        env={**os.environ, **fleet.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def comes(fleet: Fleet, clients: "list[subprocess.Popen[str]]", n_cells: int) -> bool:
    """Whether so many cells ran, or a client has handed out the rest."""
    over = any(client.poll() == 0 for client in clients)
    return over or len(fleet.ran) >= n_cells


@pytest.mark.slow
def test_clients_killed_at_chance_moments_and_two_at_once_start_each_cell_once(
    fleet: Fleet,
) -> None:
    seed = secrets.randbelow(10**6)
    chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
    for round_ in range(3):
        clients = [start(fleet, 30) for _ in range(2)]
        kill_at = len(fleet.ran) + chance.randint(round_ == 0, 5)
        wait_until(partial(comes, fleet, clients, kill_at), 60)
        for client in clients:
            client.kill()
            _, err = client.communicate()
            # the one that came second was told so, and started nothing
            assert client.returncode in {0, -signal.SIGKILL, 75}, f"{seed=} {err}"
    done = fleet.verb(*fleet.sweep(30), "--json")
    assert done.returncode == 0, f"{seed=} {done}"
    assert fleet.verb("wait", "t1", "--on", "all").returncode == 0, f"{seed=}"
    assert fleet.ran == once(30), f"{seed=}"


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(fleet: Fleet) -> None:
    child = subprocess.Popen(
        [PROGRAM, *fleet.sweep(400)],
        cwd=fleet.git.clone,
        env={**os.environ, **fleet.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: fleet.ran, 60)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "the same command again hands out the rest" in err
    done = fleet.verb("stop", "t1", "--on", "all", "--json")
    assert done.returncode == 0, done
    assert max(fleet.ran.values()) == 1


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("--on", "any", "--sandbox", "a"), "--sandbox names one machine"),
        (
            ("--on", "three", "--after", "remote-1"),
            "--after names a job of one machine",
        ),
        (("--on", "three1"), "Did you mean `three`?"),
        (
            ("--on", "any", "--set", "n=1..3", "--then", "x"),
            "sandbox-ops fetch",
        ),
    ],
)
def test_what_does_not_go_with_several_machines_is_refused(
    fleet: Fleet, words: tuple[str, ...], reason: str
) -> None:
    done = fleet.verb("train", *words, "--command", "echo {n}")
    assert done.returncode in {2, 78}
    assert reason in done.stderr
