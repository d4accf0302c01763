"""The launcher of a node, as a program: one file for the machine's own Python."""

import ast
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cable import cable
from waiting import wait_until

from sandbox_ops.remote import node
from sandbox_ops.remote.node import attempts, machine
from sandbox_ops.remote.node.job_files import Plan, Retry


@dataclass(frozen=True)
class Launched:
    """A launcher that runs, and its job's folder."""

    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def state(self) -> dict[str, Any]:
        file = self.folder / "node_state.json"
        state: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        return state

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def end(self) -> int:
        return self.process.wait(40)


Launch = Callable[..., Launched]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Start a launcher: `launch(rank, code, hub=...)`."""
    program = tmp_path / "node_launcher.py"
    program.write_text(node.program())
    running: list[Launched] = []

    def one(rank: int, code: str, *, known: str = "s", **plan: object) -> Launched:
        folder = tmp_path / f"job{len(running)}"
        folder.mkdir()
        facts = {
            "rank": rank, "machines": ["a", "b"], "run": "r", "processes": 1, "hub": [],
            "port": 0, "join_s": 20, "lost_s": 3, **plan,
        }  # fmt: skip
        (folder / "node.json").write_text(json.dumps(facts))
        environment = {**os.environ, "SANDBOX_JOB": str(folder)}
        environment["SANDBOX_NODE_SECRET"] = known
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(program), "bash", "-c", code],
                env=environment,
                cwd=tmp_path,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        running.append(Launched(folder, process))
        return running[-1]

    yield one
    for each in running:
        each.process.kill()
        each.process.wait()
        machine.kill_marked(str(each.folder))


def pair(
    launch: Launch, first: str, second: str, **plan: object
) -> tuple[Launched, Launched]:
    zero = launch(0, first, **plan)
    wait_until(lambda: "port" in zero.state, 20)
    return zero, launch(1, second, hub=[f"127.0.0.1:{zero.state['port']}"], **plan)


def begun(*nodes: Launched) -> None:
    wait_until(lambda: all(n.state.get("phase") == "running" for n in nodes), 20)


def test_it_is_one_file_that_python_3_8_reads_and_no_name_in_it_stands_twice() -> None:
    tree = ast.parse(node.program(), feature_version=(3, 8))
    names = [
        each.name
        for each in tree.body
        if isinstance(each, ast.FunctionDef | ast.ClassDef)
    ]
    names += [
        target.id
        for each in tree.body
        if isinstance(each, ast.Assign)
        for target in each.targets
        if isinstance(target, ast.Name)
    ]
    assert sorted(names) == sorted(set(names))
    assert "sandbox_ops" not in node.program()


def test_the_variables_of_torchrun_and_of_programs_that_do_without_it() -> None:
    plan = Plan(
        run="r", rank=1, machines=["a", "b"], processes=1, port=0, hub=[],
        join_s=20, lost_s=3,
    )  # fmt: skip
    mine = {"NCCL_SOCKET_IFNAME": "ib0", "RANK": "9"}
    values = machine.variables(plan, "10.0.0.1", 29500, "eth0", mine)
    assert values["MASTER_ADDR"] == values["PET_MASTER_ADDR"] == "10.0.0.1"
    assert values["NODE_RANK"] == values["PET_NODE_RANK"] == values["RANK"] == "1"
    assert values["PET_RDZV_ENDPOINT"] == "10.0.0.1:29500"
    assert values["NCCL_SOCKET_IFNAME"] == "ib0"  # the user's own
    assert values["GLOO_SOCKET_IFNAME"] == "eth0"
    several = machine.variables(plan._replace(processes=8), "10.0.0.1", 1, "", {})
    assert several["PET_NPROC_PER_NODE"] == "8"
    assert "RANK" not in several
    assert "GLOO_SOCKET_IFNAME" not in several


def test_a_node_whose_machine_falls_silent_ends_the_others(launch: Launch) -> None:
    zero, one = pair(launch, "sleep 300", "sleep 300")
    begun(zero, one)
    os.killpg(one.process.pid, signal.SIGSTOP)
    assert zero.end() == 143
    assert (zero.folder / "first_failure").read_text() == "1 b lost\n"
    os.killpg(one.process.pid, signal.SIGCONT)


def test_a_connection_that_breaks_is_opened_again_and_the_run_goes_on(
    launch: Launch,
) -> None:
    zero = launch(0, "sleep 6")
    wait_until(lambda: "port" in zero.state, 20)
    with cable("127.0.0.1", zero.state["port"]) as laid:
        one = launch(1, "sleep 6; exit 7", hub=[f"127.0.0.1:{laid.port}"])
        begun(zero, one)
        laid.cut(reset=True)
        wait_until(lambda: laid.links == 2, 20)
        assert one.end() == 7  # told over the second connection
        assert zero.end() == 7
    assert (zero.folder / "first_failure").read_text() == "1 b 7\n"


def test_a_silent_rank_0_ends_the_others(launch: Launch) -> None:
    zero, one = pair(launch, "sleep 300", "sleep 300")
    begun(zero, one)
    os.killpg(zero.process.pid, signal.SIGSTOP)
    assert one.end() == 143
    assert (one.folder / "first_failure").read_text() == "0 a lost\n"
    os.killpg(zero.process.pid, signal.SIGCONT)


def test_rank_0_stays_until_the_others_have_ended_and_ends_as_they_do(
    launch: Launch,
) -> None:
    zero, one = pair(launch, "true", "sleep 2; exit 5")
    assert one.end() == 5
    assert zero.end() == 5
    assert (zero.folder / "first_failure").read_text() == "1 b 5\n"
    assert "rank 1 on b failed first, with exit code 5" in zero.log


def test_a_stop_of_rank_0_after_its_own_end_ends_the_others(launch: Launch) -> None:
    zero, one = pair(launch, "touch done", "sleep 300")
    begun(zero, one)
    zero.process.terminate()
    assert zero.end() == 143
    assert one.end() == 143
    assert (one.folder / "first_failure").read_text() == "0 a stopped\n"


RETRY = {
    "retries": 2, "on": ["exit", "signal"], "backoff_s": 0.1, "resume_from": "*.pt",
}  # fmt: skip


def retried(launch: Launch, first: str, second: str) -> tuple[Launched, Launched]:
    return pair(launch, first, second, retry=RETRY)


def attempts_of(node: Launched) -> list[str]:
    lines = (node.folder / "attempts").read_text().splitlines()
    return [" ".join(line.split()[:2]) for line in lines]


def test_all_nodes_begin_again_where_one_failed_and_end_together(
    launch: Launch,
) -> None:
    say = "echo begin $SANDBOX_ATTEMPT at $MASTER_PORT; "
    zero, one = retried(
        launch,
        say
        + 'trap "echo told; exit 0" TERM; [ $SANDBOX_ATTEMPT = 3 ] || { sleep 60 & wait; }',
        say + "[ $SANDBOX_ATTEMPT = 3 ] || exit $((4 + SANDBOX_ATTEMPT))",
    )
    assert (zero.end(), one.end()) == (0, 0)
    assert [line.split()[1] for line in one.log.splitlines() if "begin" in line] == [
        "1", "2", "3",
    ]  # fmt: skip
    assert zero.log.count("told\n") == 2
    assert (
        "[sandbox-ops] attempt 2 is over: rank 1 on b failed first, with exit code 6"
        in zero.log
    )
    assert attempts_of(one) == ["attempt=1 code=5", "attempt=2 code=6"]
    assert attempts_of(zero) == ["attempt=1 code=0", "attempt=2 code=0"]
    assert " first=1:b:6 " in (zero.folder / "attempts").read_text()
    assert not (zero.folder / "first_failure").exists()


def test_a_node_that_has_ended_well_begins_again_with_the_others(
    launch: Launch,
) -> None:
    zero, one = retried(
        launch, "echo well", "sleep 1; [ $SANDBOX_ATTEMPT = 2 ] || exit 4"
    )
    assert (zero.end(), one.end()) == (0, 0)
    assert zero.log.count("well\n") == 2


def test_after_the_last_attempt_all_nodes_end_as_the_one_that_failed(
    launch: Launch,
) -> None:
    zero, one = retried(launch, "echo begun; sleep 60", "exit 9")
    assert (zero.end(), one.end()) == (9, 9)
    assert zero.log.count("begun\n") == 3
    assert (zero.folder / "first_failure").read_text() == "1 b 9\n"


@pytest.mark.slow
def test_no_process_of_an_attempt_lives_on_beside_the_next(launch: Launch) -> None:
    stubborn = """
    if [ $SANDBOX_ATTEMPT = 2 ]; then
      for pid in $(cat pids); do grep -hs "^State" /proc/$pid/status; done
      exit 0
    fi
    trap "" TERM; setsid sleep 61 & echo $$ $! >pids
    sleep 60
    """
    until = "[ $SANDBOX_ATTEMPT = 2 ] || { until [ -s pids ]; do sleep 0.05; done; exit 3; }"
    zero, one = retried(launch, stubborn, until)
    assert (zero.end(), one.end()) == (0, 0)
    assert attempts_of(zero) == ["attempt=1 code=137"]
    states = [line for line in zero.log.splitlines() if line.startswith("State")]
    assert [state for state in states if "zombie" not in state] == []


@pytest.mark.parametrize("stopped", [0, 1])
def test_a_stop_between_two_attempts_ends_the_run(launch: Launch, stopped: int) -> None:
    slow = {**RETRY, "backoff_s": 60}
    nodes = pair(launch, "true", "exit 3", retry=slow)
    for each in nodes:
        wait_until((each.folder / "attempts").exists, 20)
    nodes[stopped].process.terminate()
    assert [each.end() for each in nodes] == [143, 143]
    failure = (nodes[1 - stopped].folder / "first_failure").read_text()
    assert failure == f"{stopped} {'ab'[stopped]} stopped\n"


def test_no_attempt_follows_a_node_that_is_lost(launch: Launch) -> None:
    zero, one = retried(launch, "echo begun; sleep 60", "sleep 60")
    begun(zero, one)
    one.process.kill()
    assert zero.end() == 143
    assert zero.log.count("begun\n") == 1
    assert (zero.folder / "first_failure").read_text() == "1 b lost\n"


def test_a_checkpoint_of_an_earlier_attempt_is_handed_to_the_next(
    launch: Launch, tmp_path: Path
) -> None:
    code = (
        f'cd {tmp_path}; echo "from $SANDBOX_RESUME"; '
        "touch step-$SANDBOX_ATTEMPT.pt; [ $SANDBOX_ATTEMPT = 2 ]"
    )
    pattern = {**RETRY, "resume_from": f"{tmp_path}/step-*.pt"}
    (tmp_path / "step-0.pt").touch()
    os.utime(tmp_path / "step-0.pt", (1, 1))
    zero, one = pair(
        launch, code, "[ $SANDBOX_ATTEMPT = 2 ] || sleep 60", retry=pattern
    )
    assert (zero.end(), one.end()) == (0, 0)
    assert "from \n" in zero.log
    assert f"from {tmp_path}/step-1.pt\n" in zero.log


@pytest.mark.parametrize(
    ("how", "follows"),
    [("3", True), ("75", True), ("143", False), ("137", True), ("lost", False),
     ("stopped", False), ("timed-out", False)],
)  # fmt: skip
def test_another_attempt_follows_the_ends_that_were_asked_for(
    how: str, follows: bool
) -> None:
    retry = Retry(retries=2, on=["exit", "oom"])
    assert attempts.attempt_follows(retry, 1, how) is follows
    assert attempts.attempt_follows(retry, 3, how) is False
    assert attempts.attempt_follows(Retry(), 1, how) is False


def test_a_connection_that_breaks_between_two_attempts_is_opened_again(
    launch: Launch,
) -> None:
    zero = launch(
        0, "sleep 1; [ $SANDBOX_ATTEMPT = 2 ]", retry=RETRY | {"backoff_s": 4}
    )
    wait_until(lambda: "port" in zero.state, 20)
    with cable("127.0.0.1", zero.state["port"]) as laid:
        hub = [f"127.0.0.1:{laid.port}"]
        one = launch(1, "sleep 2", hub=hub, retry=RETRY | {"backoff_s": 4})
        wait_until((one.folder / "attempts").exists, 20)
        laid.cut(reset=True)
        wait_until(lambda: laid.links == 2, 20)
        assert (zero.end(), one.end()) == (0, 0)
    assert attempts_of(zero) == ["attempt=1 code=1"]


def test_who_does_not_know_the_secret_is_no_node(launch: Launch) -> None:
    zero = launch(0, "echo begun", join_s=5)
    wait_until(lambda: "port" in zero.state, 20)
    stranger = launch(
        1, "echo begun", hub=[f"127.0.0.1:{zero.state['port']}"], known="x", join_s=1
    )
    assert stranger.end() == 75
    assert zero.end() == 75
    assert "begun\n" not in zero.log + stranger.log
    assert "b: did not connect within 5 s" in zero.log


def test_the_secret_is_not_in_the_environment_of_the_command(launch: Launch) -> None:
    zero, one = pair(launch, "env", "env")
    assert (zero.end(), one.end()) == (0, 0)
    assert "NODE_SECRET" not in zero.log + one.log
    assert "PET_NNODES=2" in zero.log
