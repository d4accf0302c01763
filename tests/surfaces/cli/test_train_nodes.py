"""train --on a,b --nodes: one training over several machines, each in a network of its own."""

import contextlib
import itertools
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, cli
from fleet import Machine, describe, make_machine
from gitproject import GitProject
from networks import Network, networks
from waiting import wait_until

PROJECT = """\
[project]
setup = ["true"]
verify = ["true"]
outputs = ["out/"]
"""
PROGRAM_TEXT = (Path(__file__).parents[2] / "support/rendezvous.py").read_text()


@dataclass(frozen=True)
class Fleet:
    """A user with machines that reach each other, by addresses of their own."""

    git: GitProject
    machines: list[Machine]
    networks: tuple[Network, ...]
    env: dict[str, str]

    def verb(
        self, *words: str, timeout_s: float = 120
    ) -> subprocess.CompletedProcess[str]:
        return cli(*words, cwd=self.git.clone, env=self.env, timeout_s=timeout_s)

    def train(self, *words: str, name: str = "ddp", nodes: int = 3) -> tuple[str, ...]:
        on = ",".join(machine.name for machine in self.machines[:nodes])
        return (
            "train", "--on", on, "--nodes", str(nodes), "--name", name, "--gpus", "0",
            *words,
        )  # fmt: skip

    def jobs(self, name: str = "ddp") -> dict[str, dict[str, Any]]:
        """Return the newest job of that name on each machine that has one."""
        on = ",".join(machine.name for machine in self.machines)
        answers = value_of(self.verb("jobs", "--on", on, "--json"))["sandboxes"]
        found = {}
        for machine, answer in answers.items():
            for job in reversed(answer["jobs"]):
                if job["name"] == name:
                    found[machine] = job
        return found

    def living(self) -> list[str]:
        """Return the processes of jobs that live on any of the machines."""
        marks = [f"SANDBOX_JOB={m.home}/.sandbox-ops".encode() for m in self.machines]
        found = []
        for environ in Path("/proc").glob("[1-9]*/environ"):
            with contextlib.suppress(OSError):
                words = environ.read_bytes().split(b"\0")
                if any(w.startswith(mark) for w in words for mark in marks):
                    found.append((environ.parent / "cmdline").read_text())
        return found


def value_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout.count("\n") == 1, done
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def fleet(tmp_path: Path, git_project: GitProject) -> Iterator[Fleet]:
    files = {"sandbox.toml": PROJECT, "rendezvous.py": PROGRAM_TEXT}
    git_project.commit(files, push=True)
    with networks(3) as nets:
        names = zip("abc", nets, strict=True)
        machines = [make_machine(tmp_path, name, net.enter) for name, net in names]
        yield Fleet(git_project, machines, nets, describe(tmp_path, machines))


def test_a_training_meets_over_its_machines_and_its_one_name_is_enough_for_every_verb(
    fleet: Fleet,
) -> None:
    done = fleet.verb(*fleet.train("--json", "--", "python3", "rendezvous.py"))
    assert done.returncode == 0, done
    answer = value_of(done)
    assert answer["name"] == "ddp"
    assert answer["master"].startswith("10.77.0.1:")
    assert answer["commit"] == fleet.git.head
    assert {n: each["rank"] for n, each in answer["sandboxes"].items()} == {
        "a": 0, "b": 1, "c": 2,
    }  # fmt: skip
    done = fleet.verb("wait", "ddp", "--json")
    assert done.returncode == 0, done
    waited = value_of(done)
    assert waited["name"] == "ddp"
    assert {each["event"] for each in waited["sandboxes"].values()} == {"ended"}
    lines = fleet.verb("logs", "ddp").stdout.splitlines()
    assert lines == [
        f"[{rank} {name}] rank {rank} of 3 at 10.77.0.1: sum 6"
        for rank, name in enumerate("abc")
    ]
    # from elsewhere, without this clone's list
    lines_on = fleet.verb("logs", "ddp", "--on", "b,c").stdout.splitlines()
    assert lines_on[0].startswith("[b] rank 1 of 3")
    for verb in ("jobs", "monitor"):
        rows = fleet.verb(verb, "ddp").stdout.splitlines()
        assert [row.split()[0] for row in rows[1:4]] == ["a", "b", "c"], rows
        of_each = value_of(fleet.verb(verb, "ddp", "--json"))["sandboxes"]
        assert [len(each["jobs"]) for each in of_each.values()] == [1, 1, 1]


def test_results_of_all_nodes_come_home(
    fleet: Fleet,
) -> None:
    command = "mkdir -p out && echo $RANK >out/$RANK"
    assert fleet.verb(*fleet.train("--command", command)).returncode == 0
    assert fleet.verb("wait", "ddp").returncode == 0
    done = fleet.verb("fetch", "ddp")
    assert done.returncode == 0, done
    fetched = sorted(path.name for path in (fleet.git.clone / "out").iterdir())
    assert fetched == ["0", "1", "2"]
    for name in "abc":
        record = fleet.git.clone / "logs" / name / "remote-1" / "run.json"
        assert json.loads(record.read_text())["nodes"]["machines"] == ["a", "b", "c"]


def test_rerun_starts_all_nodes_again_with_the_code_and_command_of_the_run(
    fleet: Fleet,
) -> None:
    command = "git rev-parse HEAD; echo {lr}; python3 rendezvous.py"
    words = ("--set", "lr=0.1", "--command", command)
    assert fleet.verb(*fleet.train(*words)).returncode == 0
    assert fleet.verb("wait", "ddp").returncode == 0
    first = fleet.git.head
    fleet.git.commit({"more": "text\n"}, push=True)  # the clones are behind now
    done = fleet.verb("rerun", "ddp", "--json")
    assert done.returncode == 0, done
    answer = value_of(done)
    assert answer["of"] == "a:remote-1"
    assert list(answer["sandboxes"]) == ["a", "b", "c"]
    assert {job["job"]["id"] for job in answer["sandboxes"].values()} == {"remote-2"}
    assert fleet.verb("wait", "ddp").returncode == 0
    lines = fleet.verb("logs", "ddp").stdout.splitlines()
    for rank, name in enumerate("abc"):
        assert f"[{rank} {name}] {first}" in lines
        assert f"[{rank} {name}] 0.1" in lines
        assert f"[{rank} {name}] rank {rank} of 3 at 10.77.0.1: sum 6" in lines


@pytest.mark.slow
def test_rerun_of_one_node_starts_all_with_the_code_of_then_whatever_the_clones_have(
    fleet: Fleet,
) -> None:
    words = fleet.train("--", "git", "rev-parse", "HEAD", nodes=2)
    assert fleet.verb(*words).returncode == 0
    assert fleet.verb("wait", "ddp").returncode == 0
    first = fleet.git.head
    fleet.git.commit({"more": "text\n"}, push=True)
    assert fleet.verb("sync", "--on", "a,b").returncode == 0
    done = fleet.verb("rerun", "remote-1", "--sandbox", "b", "--name", "again")
    assert done.returncode == 0, done
    assert "started again on 2 machines, as ddp at" in done.stdout
    assert fleet.verb("wait", "again").returncode == 0
    assert fleet.verb("logs", "again").stdout.count(first) == 2
    shown = value_of(fleet.verb("show", "b:again", "--json"))
    assert shown["commit"] == first
    assert shown["record"]["nodes"]["machines"] == ["a", "b"]


@pytest.mark.slow
def test_rerun_starts_nothing_where_one_of_its_machines_cannot_take_it(
    fleet: Fleet,
) -> None:
    assert fleet.verb(*fleet.train("--", "true")).returncode == 0
    assert fleet.verb("wait", "ddp").returncode == 0
    fleet.machines[2].cut_off()
    done = fleet.verb("rerun", "ddp")
    assert done.returncode == 255, done
    assert "c: cannot reach c: no such box" in done.stderr
    fleet.machines[2].come_back()
    assert {job["id"] for job in fleet.jobs().values()} == {"remote-1"}


def test_another_clone_reaches_every_node_by_the_machines_and_the_name(
    fleet: Fleet, tmp_path: Path
) -> None:
    """It has no list of such runs: `--on` says where; what is done to one node reaches all."""
    command = "mkdir -p out && echo $RANK >out/$RANK; sleep 300"
    assert fleet.verb(*fleet.train("--command", command, nodes=2)).returncode == 0
    other = tmp_path / "other"
    fleet.git.git("clone", "-q", str(fleet.git.clone), str(other), at=tmp_path)
    elsewhere = partial(cli, cwd=other, env=fleet.env, timeout_s=120)
    since = json.loads(elsewhere("events", "--json").stdout.splitlines()[-1])["cursor"]
    shown = value_of(elsewhere("show", "b:ddp", "--json"))
    assert shown["record"]["nodes"]["rank"] == 1
    stopped = elsewhere("stop", "ddp", "--sandbox", "b")
    assert stopped.returncode == 0, stopped
    waited = elsewhere("wait", "ddp", "--all", "--on", "a,b", "--json")
    assert waited.returncode == 143, waited
    jobs = {n: each["jobs"][0] for n, each in value_of(waited)["sandboxes"].items()}
    assert {job["state"] for job in jobs.values()} == {"stopped"}
    assert jobs["a"]["reason"] == "rank 1 on b was stopped"
    lines = elsewhere("events", "--since", since, "--json").stdout.splitlines()
    ends = {(e["sandbox"], e["event"]) for e in map(json.loads, lines)}
    assert {("a", "ended"), ("b", "ended")} <= ends
    fetched = elsewhere("fetch", "ddp", "--on", "a,b")
    assert fetched.returncode == 0, fetched
    assert sorted(path.name for path in (other / "out").iterdir()) == ["0", "1"]
    assert fleet.living() == []


def test_where_one_rank_fails_the_others_are_ended_and_say_who_it_was(
    fleet: Fleet,
) -> None:
    words = fleet.train("--watch", "--command", "python3 rendezvous.py 1")
    done = fleet.verb(*words)
    assert done.returncode == 3, done
    assert "[2 c] rank 2 of 3 at 10.77.0.1: sum 6" in done.stdout
    assert (
        "[0 a] [sandbox-ops] stopping this node: rank 1 on b failed first"
        in done.stdout
    )
    jobs = fleet.jobs()
    assert [job["state"] for job in jobs.values()] == ["failed"] * 3
    assert jobs["b"]["reason"] == ""
    reason = "rank 1 on b failed first: exit code 3"
    assert (jobs["a"]["reason"], jobs["c"]["reason"]) == (reason, reason)
    assert fleet.verb("wait", "ddp").returncode == 3
    assert fleet.living() == []


@pytest.mark.slow
def test_with_retries_all_nodes_begin_again_where_one_failed_and_nobody_is_connected(
    fleet: Fleet,
) -> None:
    command = (
        'echo "attempt $SANDBOX_ATTEMPT from {resume:ckpt %}"; '
        # all have written it when they have met, and only then does one fail
        "touch step-$SANDBOX_ATTEMPT.pt; python3 rendezvous.py; "
        "[ $RANK = 0 ] || [ $SANDBOX_ATTEMPT = 2 ] || exit 7"
    )
    words = ("--retries", "2", "--resume-from", "step-*.pt", "--command", command)
    assert fleet.verb(*fleet.train(*words)).returncode == 0  # nobody is connected now
    done = fleet.verb("wait", "ddp")
    assert done.returncode == 0, done
    jobs = fleet.jobs()
    assert {(job["state"], job["attempt"]) for job in jobs.values()} == {
        ("succeeded", 2)
    }
    lines = fleet.verb("logs", "ddp").stdout.splitlines()
    for rank, name in enumerate("abc"):
        assert f"[{rank} {name}] attempt 1 from " in lines
        assert f"[{rank} {name}] attempt 2 from ckpt step-1.pt" in lines
        assert lines.count(f"[{rank} {name}] rank {rank} of 3 at 10.77.0.1: sum 6") == 2
    shown = value_of(fleet.verb("show", "b:ddp", "--json"))["attempts"]
    assert [each["state"] for each in shown] == ["failed", "succeeded"]
    assert fleet.living() == []


@pytest.mark.slow
def test_a_run_that_is_tried_again_says_its_attempt_and_can_be_stopped(
    fleet: Fleet,
) -> None:
    command = "[ $RANK = 0 ] || [ $SANDBOX_ATTEMPT = 2 ] || exit 7; sleep 300"
    words = fleet.train("--retries", "1", "--command", command, nodes=2)
    assert fleet.verb(*words).returncode == 0
    wait_until(lambda: {job["attempt"] for job in fleet.jobs().values()} == {2}, 60)
    assert {job["state"] for job in fleet.jobs().values()} == {"running"}
    done = fleet.verb("stop", "ddp")
    assert done.returncode == 0, done
    assert {job["state"] for job in fleet.jobs().values()} == {"stopped"}
    assert fleet.living() == []


@pytest.mark.slow
def test_processes_that_ignore_the_end_of_another_node_are_killed_after_the_grace(
    fleet: Fleet,
) -> None:
    stubborn = 'trap "" TERM; [ $RANK = 1 ] && exit 4; setsid sleep 300 & sleep 300'
    done = fleet.verb(*fleet.train("--command", stubborn, nodes=2))
    assert "rank 1 on b" in done.stdout, done
    assert fleet.verb("wait", "ddp").returncode == 4
    assert fleet.living() == []


def test_nothing_runs_where_one_machine_cannot_be_reached(fleet: Fleet) -> None:
    fleet.machines[1].cut_off()
    done = fleet.verb(*fleet.train("--", "sleep", "300"))
    assert done.returncode == 255, done
    assert "started on none" in done.stderr
    assert "b: cannot reach b: no such box" in done.stderr
    fleet.machines[1].come_back()
    assert fleet.jobs() == {}


@pytest.mark.slow
def test_machines_that_do_not_reach_each_other_are_named_and_nothing_begins(
    fleet: Fleet,
) -> None:
    fleet.networks[1].drop(fleet.networks[2])
    done = fleet.verb(*fleet.train("--command", "touch $HOME/ran"))
    assert done.returncode == 75, done
    assert "c cannot open a connection to b (10.77.0.2:" in done.stderr
    assert "b cannot open a connection to c (10.77.0.3:" in done.stderr
    assert "timed out" in done.stderr
    assert not [m.name for m in fleet.machines if (m.home / "ran").exists()]
    states = {job["state"] for job in fleet.jobs().values()}
    assert states <= {"failed", "stopped"}
    assert fleet.living() == []


@pytest.mark.slow
def test_a_first_machine_that_the_others_do_not_reach_is_named(fleet: Fleet) -> None:
    fleet.networks[0].drop(fleet.networks[1])
    started = fleet.verb(*fleet.train("--command", "touch $HOME/ran", nodes=2))
    assert started.returncode == 75, started
    assert "b cannot open a connection to a (10.77.0.1:" in started.stderr
    assert fleet.living() == []


@pytest.mark.slow
def test_a_port_that_is_taken_is_said_and_without_one_another_is_found(
    fleet: Fleet,
) -> None:
    listener = subprocess.Popen(
        [*fleet.networks[0].enter.split(), "nc", "-l", "-k", "29500"],
        stdin=subprocess.DEVNULL,
    )
    try:
        state = ["ss", "-Hltn", "sport = :29500"]
        enter = fleet.networks[0].enter.split()
        wait_until(
            lambda: b"29500" in subprocess.run([*enter, *state], capture_output=True, check=True).stdout,
            20,
        )  # fmt: skip
        taken = ("--port", "29500", "--", "python3", "rendezvous.py")
        done = fleet.verb(*fleet.train(*taken, nodes=2))
        assert done.returncode == 75, done
        assert (
            "a: cannot listen on port 29500 or 29501: Address already in use"
            in done.stderr
        )
        free = ("--port", "29600", "--json", "--", "python3", "rendezvous.py")
        done = fleet.verb(*fleet.train(*free, nodes=2))
        assert value_of(done)["master"] == "10.77.0.1:29600"
        done = fleet.verb(*fleet.train("--", "python3", "rendezvous.py", nodes=2))
        assert done.returncode == 0, done
        assert fleet.verb("wait", "ddp").returncode == 0
    finally:
        listener.kill()
        listener.wait()


@pytest.mark.slow
def test_stop_by_the_one_name_ends_every_node(fleet: Fleet) -> None:
    assert fleet.verb(*fleet.train("--", "sleep", "300")).returncode == 0
    assert len([line for line in fleet.living() if line.startswith("sleep")]) == 3
    done = fleet.verb("stop", "ddp", "--json")
    assert done.returncode == 0, done
    stopped = value_of(done)
    assert stopped["name"] == "ddp"
    assert {name: each["job"]["state"] for name, each in stopped["sandboxes"].items()} == {
        "a": "stopped", "b": "stopped", "c": "stopped",
    }  # fmt: skip
    assert fleet.living() == []


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.slow
def test_a_node_that_is_stopped_alone_ends_the_others(fleet: Fleet, rank: int) -> None:
    assert fleet.verb(*fleet.train("--", "sleep", "300", nodes=2)).returncode == 0
    one, other = ("a", "b") if rank == 0 else ("b", "a")
    assert fleet.verb("stop", "ddp", "--sandbox", one).returncode == 0
    assert fleet.verb("wait", "ddp").returncode != 0
    job = fleet.jobs()[other]
    assert job["state"] == "stopped"
    assert job["reason"] == f"rank {rank} on {one} was stopped"
    assert fleet.living() == []


@pytest.mark.slow
def test_a_deadline_ends_the_run_as_timed_out_everywhere(fleet: Fleet) -> None:
    words = fleet.train("--time", "3", "--", "sleep", "300", nodes=2)
    assert fleet.verb(*words).returncode == 0
    assert fleet.verb("wait", "ddp").returncode == 124
    assert {job["state"] for job in fleet.jobs().values()} == {"timed-out"}


@pytest.mark.timeout(200)
@pytest.mark.slow
def test_a_killed_client_leaves_all_nodes_or_none(fleet: Fleet) -> None:
    """Killed at many moments of its start; each time the run runs on all, or nowhere."""
    for number, pause_s in enumerate((0.5, 0.8, 1.1, 1.4)):
        name = f"run{number}"
        words = fleet.train("--", "sleep", "300", name=name, nodes=2)
        child = subprocess.Popen(
            [PROGRAM, *words],
            cwd=fleet.git.clone,
            env={**os.environ, **fleet.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(pause_s)
        child.kill()
        child.wait()
        wait_until(partial(_is_settled, fleet, name), 100)
        states = {job["state"] for job in fleet.jobs(name).values()}
        running = len(fleet.jobs(name)) if states == {"running"} else 0
        assert running in {0, 2}, fleet.jobs(name)
        fleet.verb("stop", name, "--on", "a,b")
    assert fleet.living() == []


def _is_settled(fleet: Fleet, name: str) -> bool:
    """Whether every node that there is runs its command, or has ended."""
    begun = 0
    jobs = fleet.jobs(name)
    for machine, job in jobs.items():
        state = Path(job["log_path"]).with_name("node_state.json")
        begun += job["state"] not in {"starting", "running"} or (
            state.exists() and json.loads(state.read_text())["phase"] == "running"
        )
        assert machine in {"a", "b"}
    return begun == len(jobs)


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_half_a_start_ends_by_itself(fleet: Fleet) -> None:
    """The client is killed right after rank 0 began: it finds no others, and ends."""
    assert fleet.machines
    child = subprocess.Popen(
        [PROGRAM, *fleet.train("--command", "touch $HOME/ran; sleep 300", nodes=2)],
        cwd=fleet.git.clone,
        env={**os.environ, **fleet.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        pattern = ".sandbox-ops/v1/*/jobs/remote-1/node_state.json"
        home = fleet.machines[0].home
        wait_until(lambda: any(home.glob(pattern)), 60)
    finally:
        child.kill()
        child.wait()
    wait_until(lambda: _is_settled(fleet, "ddp"), 100)
    states_then = {job["state"] for job in fleet.jobs().values()}
    assert states_then in ({"failed"}, {"running"}), fleet.jobs()
    if states_then == {"failed"}:
        assert not (fleet.machines[0].home / "ran").exists()
    else:
        assert len(fleet.jobs()) == 2


@pytest.mark.slow
def test_the_launcher_killed_on_one_node_ends_the_run(fleet: Fleet) -> None:
    assert fleet.verb(*fleet.train("--", "sleep", "300", nodes=2)).returncode == 0
    (job,) = fleet.machines[1].home.glob(".sandbox-ops/v1/*/jobs/remote-1")
    leader = dict(
        word.split("=", 1)
        for word in (job / "state").read_text().split()
        if "=" in word
    )["leader"]
    os.kill(int(leader), signal.SIGKILL)
    assert fleet.verb("wait", "ddp").returncode != 0
    assert fleet.jobs()["a"]["reason"] == "rank 1 on b was lost"


@pytest.mark.slow
def test_machines_with_other_code_are_brought_to_one_commit_or_refused(
    fleet: Fleet,
) -> None:
    assert fleet.verb("setup", "--on", "a,b").returncode == 0
    fleet.git.commit({"more": "text\n"}, push=True)
    assert fleet.verb("sync", "--sandbox", "a").returncode == 0
    done = fleet.verb(*fleet.train("--json", "--", "git", "log", "-1", nodes=2))
    assert done.returncode == 0, done
    assert value_of(done)["sandboxes"]["b"]["did"] == ["sync"]
    heads = {
        fleet.git.git("rev-parse", "HEAD", at=m.home / fleet.git.name)
        for m in fleet.machines[:2]
    }
    assert heads == {fleet.git.head}
    fleet.git.write({"more": "edited\n"})
    done = fleet.verb(*fleet.train("--", "true", nodes=2))
    assert done.returncode == 75, done
    assert "edits here are not committed" in done.stderr


def test_what_does_not_go_with_several_machines_is_refused(fleet: Fleet) -> None:
    cases: dict[tuple[str, ...], str] = {
        (
            "--on",
            "a,b",
            "--nodes",
            "3",
        ): "3 nodes are wanted, and of these sandboxes 2 are named",
        ("--on", "any", "--nodes", "2"): "`any` takes one",
        ("--on", "a,b", "--nodes", "2", "--queue"): "waits in no queue",
        ("--on", "a,b", "--nodes", "2", "--retries", "2", "--retry-on", "lost"): (
            "no other attempt follows a lost node"
        ),
        ("--nodes", "2"): "a is one machine",
        ("--nodes", "two"): "--nodes takes a number",
        ("--on", "a,b", "--nodes", "2", "--again"): "one Slurm cluster's",
        ("--port", "29500", "--then", "true"): "not those of a sweep",
    }
    for words, message in cases.items():
        done = fleet.verb("train", *words, "--gpus", "0", "--", "echo", "hi")
        assert done.returncode == 2, done
        assert message in done.stderr, done
    done = fleet.verb(
        "train", "--on", "a,b", "--torchrun", "--gpus", "0",
        "--command", "cd src && python train.py",
    )  # fmt: skip
    assert done.returncode == 2, done
    assert "Write torchrun in it" in done.stderr
    done = fleet.verb(*fleet.train("--dry-run", "--", "echo", "hi"))
    assert "rank 2 on c (setup first)" in done.stdout, done
    assert fleet.jobs() == {}


@pytest.mark.slow
def test_a_name_that_is_started_on_one_machine_again_is_that_machines(
    fleet: Fleet,
) -> None:
    assert fleet.verb(*fleet.train("--", "true", nodes=2)).returncode == 0
    done = fleet.verb("train", "--name", "ddp", "--gpus", "0", "--", "echo", "alone")
    assert done.returncode == 0, done
    assert fleet.verb("logs", "ddp").stdout.splitlines() == ["alone"]


@pytest.mark.slow
def test_one_machines_warning_wakes_who_waits_for_the_run(fleet: Fleet) -> None:
    command = "[ $RANK = 0 ] || echo step 1/9 loss nan; sleep 300"
    assert fleet.verb(*fleet.train("--command", command, nodes=2)).returncode == 0
    done = fleet.verb("wait", "ddp", "--json")
    assert done.returncode == 1, done
    assert value_of(done)["sandboxes"]["b"]["event"] == "warning"
    done = fleet.verb("wait", "ddp", "--for", "loss nan", "--json")
    assert done.returncode == 0, done
    assert list(itertools.chain(value_of(done)["sandboxes"])) == ["b"]
    assert fleet.verb("stop", "ddp").returncode == 0
