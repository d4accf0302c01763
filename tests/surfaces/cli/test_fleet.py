"""Verbs with --on: several machines at once, here shells with homes of their own."""

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, cli
from machines import fake_gpus
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import Sandbox, SandboxConfig

IDLE = "0, H100, GPU-a, 0, 4, 81559, 30, 580.1"
BUSY = "1, H100, GPU-b, 97, 40000, 81559, 60, 580.1"
NAMES = ("east", "west", "north")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder, and a user whose three machines are shells on this computer."""
    folder = tmp_path / "work"
    folder.mkdir()
    describe(tmp_path, NAMES)
    return folder


def describe(tmp_path: Path, names: Sequence[str], more: str = "") -> None:
    lines = ['default = "east"', "[groups]", 'compass = ["west", "east"]']
    for name in names:
        home = tmp_path / name
        home.mkdir(exist_ok=True)
        lines += [
            f"[sandboxes.{name}]",
            f'link = {{ command = ["env", "HOME={home}", "sh"] }}',
            f'workspace = "{home}"',
        ]
    file = tmp_path / "config" / "sandbox-ops" / "config.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join((*lines, more)) + "\n")
    file.chmod(0o600)


def on(
    place: Path, *words: str, timeout_s: float = 50
) -> subprocess.CompletedProcess[str]:
    env = {"XDG_CONFIG_HOME": str(place.parent / "config")}
    return cli(*words, cwd=place, env=env, timeout_s=timeout_s)


def value_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout.count("\n") == 1, done
    answer: dict[str, Any] = json.loads(done.stdout)["sandboxes"]
    return answer


def test_a_command_runs_on_each_machine_of_a_group_and_each_says_its_own(
    place: Path,
) -> None:
    done = on(place, "run", "--on", "compass", "--", "sh", "-c", "echo at $HOME")
    where = {name: place.parent / name for name in NAMES}
    assert done.returncode == 0, done
    assert done.stdout == (
        f"== west\nat {where['west']}\n== east\nat {where['east']}\n"
    )


def test_what_is_to_be_done_on_a_machine_names_it_when_it_is_not_the_default(
    place: Path,
) -> None:
    words = ("--sandbox", "west", "--command", "sleep 60 >/dev/null 2>&1 & echo begun")
    left = on(place, "run", *words)
    assert left.stdout == "begun\n"
    assert "end: sandbox-ops stop cmd-1 --sandbox west\n" in left.stderr
    checks = on(place, "doctor", "--on", "east,west").stdout.partition("== west\n")
    assert "sandbox-ops run --sandbox west -- " in checks[2]
    assert "sandbox-ops run --sandbox east -- " in checks[0]
    facts = value_of(on(place, "doctor", "--on", "west", "--json"))["west"]["checks"]
    fixes = [each["fix"] for each in facts if "sandbox-ops" in each["fix"]]
    assert fixes
    assert all("--sandbox west" in fix for fix in fixes), fixes
    assert on(place, "stop", "--sandbox", "west", "cmd-1").returncode == 0


def test_json_has_one_object_a_machine(place: Path) -> None:
    done = on(place, "run", "--on", "east,north", "--json", "--", "echo", "hi")
    answers = value_of(done)
    assert list(answers) == ["east", "north"]
    assert {each["stdout"] for each in answers.values()} == {"hi\n"}


def test_all_leaves_out_what_the_user_avoids_and_begins_with_what_they_prefer(
    place: Path,
) -> None:
    file = place.parent / "config" / "sandbox-ops" / "config.toml"
    file.write_text('order = ["north"]\navoid = ["west"]\n' + file.read_text())
    assert list(value_of(on(place, "jobs", "--on", "all", "--json"))) == [
        "north",
        "east",
    ]
    assert list(value_of(on(place, "jobs", "--on", "west", "--json"))) == ["west"]


def test_the_jobs_of_all_machines_are_one_table_with_a_column_for_the_machine(
    place: Path,
) -> None:
    on(place, "run", "--on", "east,west", "--", "echo", "hi")
    done = on(place, "jobs", "--on", "all", "--all")
    heading, *rows = done.stdout.splitlines()
    assert heading.split()[:2] == ["SANDBOX", "JOB"]
    assert [row.split()[:2] for row in rows[:2]] == [
        ["east", "cmd-1"],
        ["west", "cmd-1"],
    ]
    assert rows[2] == "north: no jobs yet"


def test_the_exit_code_is_that_of_the_first_machine_where_not_all_is_well(
    place: Path,
) -> None:
    script = "case $HOME in */west) exit 4 ;; */north) exit 5 ;; esac"
    assert (
        on(place, "run", "--on", "east,west,north", "--", "sh", "-c", script).returncode
        == 4
    )
    assert (
        on(place, "run", "--on", "north,west", "--", "sh", "-c", script).returncode == 5
    )


def test_a_dead_machine_is_an_error_of_its_own_and_the_others_answer(
    place: Path,
) -> None:
    describe(place.parent, NAMES, '[sandboxes.dead]\nhost = "127.0.0.1"\nport = 1')
    done = on(place, "monitor", "--on", "east,dead", "--json")
    answers = value_of(done)
    assert answers["east"]["reachable"] is True
    assert answers["dead"]["reachable"] is False
    done = on(place, "run", "--on", "east,dead", "--json", "--", "true")
    assert value_of(done)["dead"]["error"]["kind"] == "connect"
    assert done.returncode == 255
    done = on(place, "run", "--on", "east,dead", "--", "echo", "hi")
    assert done.stdout == "== east\nhi\n"
    assert "dead: cannot connect to 127.0.0.1:1" in done.stderr


def test_a_machine_that_hangs_costs_its_own_time_alone(place: Path) -> None:
    hangs = '[sandboxes.hangs]\nlink = { command = ["sleep", "7717"] }'
    describe(place.parent, NAMES, hangs)
    child = subprocess.Popen(
        [PROGRAM, "run", "--on", "hangs,east", "--", "touch", "done"],
        cwd=place,
        env={"PATH": "/usr/bin:/bin", "HOME": str(place),
             "XDG_CONFIG_HOME": str(place.parent / "config")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        wait_until((place.parent / "east" / "done").exists, 30)
        assert child.poll() is None
    finally:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=40)


def test_ctrl_c_ends_the_commands_on_all_machines(place: Path) -> None:
    child = subprocess.Popen(
        [PROGRAM, "run", "--on", "east,west", "--", "sleep", "7727"],
        cwd=place,
        env={"PATH": "/usr/bin:/bin", "HOME": str(place),
             "XDG_CONFIG_HOME": str(place.parent / "config")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    wait_until(lambda: len(sleepers("7727")) == 2, 30)
    child.send_signal(signal.SIGINT)
    assert child.wait(40) == 130
    child.communicate()
    wait_until(lambda: not sleepers("7727"), 10)


def sleepers(seconds: str) -> list[int]:
    """Return the pids of the processes that sleep so long."""
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", seconds.encode()]:
            pids.append(int(folder.name))
    return pids


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("jobs", "--on", "compas"), "Did you mean `compass`?"),
        (("jobs", "--on", "east", "--sandbox", "west"), "--sandbox names one machine"),
        (("monitor", "--on", "all", "--watch"), "--watch looks at one machine"),
    ],
)
def test_what_cannot_be_done_on_several_is_refused_before_anything_is_asked(
    place: Path, words: tuple[str, ...], reason: str
) -> None:
    done = on(place, *words)
    assert done.returncode in {2, 78}
    assert reason in done.stderr


@pytest.mark.slow
def test_fifty_machines_are_asked_at_once(place: Path) -> None:
    names = [f"m{n}" for n in range(50)]
    describe(place.parent, ("east", *names))
    file = place.parent / "config" / "sandbox-ops" / "config.toml"
    file.write_text('avoid = ["east"]\n' + file.read_text())
    began = time.monotonic()
    done = on(place, "run", "--on", "all", "--json", "--", "echo", "hi", timeout_s=100)
    assert time.monotonic() - began < 100
    answers = value_of(done)
    assert list(answers) == names
    assert {each["stdout"] for each in answers.values()} == {"hi\n"}


def keeping_none(place: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a line where connections may be kept, and see that it keeps none."""
    with tempfile.TemporaryDirectory(dir="/tmp") as runtime:
        env = {
            "XDG_CONFIG_HOME": str(place.parent / "config"),
            "XDG_RUNTIME_DIR": runtime,
            "SANDBOX_OPS_AGENT_IDLE_S": "60",
        }
        done = cli(*words, cwd=place, env=env)
        assert list(Path(runtime).iterdir()) == []
    return done


def test_more_machines_than_connections_are_kept_for_share_one_way_to_a_jump_host(
    place: Path, sshd: SshServer, make_sshd: Callable[..., SshServer]
) -> None:
    jump = make_sshd()
    text = jump.ssh_config.read_text().replace("Host box", "Host jump")
    behind = sshd.ssh_config.read_text()
    behind = behind.replace("Host box", "Host box*\n  ProxyJump jump")
    ssh_config = place.parent / "ssh_config"
    ssh_config.write_text(f"{behind}\n{text}")
    names = [f"m{n}" for n in range(9)]
    entries = [
        f'[sandboxes.{name}]\nhost = "box{name}"\nssh_config = "{ssh_config}"'
        for name in names
    ]
    describe(place.parent, NAMES, "\n".join(entries))
    done = keeping_none(place, "run", "--on", ",".join(names), "--", "true")
    assert (done.returncode, done.stderr) == (0, "")
    assert jump.log.count("Accepted publickey") == 1


def background(place: Path, machine: str, command: str, name: str = "") -> None:
    """Start a job on one machine, as another program does."""
    home = place.parent / machine
    config = SandboxConfig(
        name=machine, host=machine, workspace=str(home),
        link=("env", f"HOME={home}", "sh"),
    )  # fmt: skip
    with Sandbox(config) as sandbox:
        sandbox.start(command, name=name)


def test_a_job_of_another_machine_is_named_the_same_way_for_every_verb(
    place: Path,
) -> None:
    background(place, "west", "echo 'step 1/2 loss=0.5'; sleep 60", name="night")
    for job in ("west:remote-1", "west:1", "west:night", "west:last"):
        assert "step 1/2" in on(place, "logs", job).stdout
    done = on(place, "monitor", "west:night", "--json")
    assert [job["id"] for job in json.loads(done.stdout)["jobs"]] == ["remote-1"]
    assert on(place, "wait", "west:night", "--for", "loss=0.5").returncode == 0
    done = on(place, "pin", "west:1")
    assert "sandbox-ops pin remote-1 --sandbox west --off" in done.stdout
    done = on(place, "stop", "west:remote-1", "--json")
    assert json.loads(done.stdout)["job"]["state"] == "stopped"
    done = on(place, "events", "west:remote-1", "--json")
    assert {json.loads(line)["sandbox"] for line in done.stdout.splitlines()} == {
        "west"
    }
    into = place / "home"
    done = on(place, "fetch", "west:remote-1", "--into", str(into), "--json")
    assert done.returncode == 0, done
    assert list(into.rglob("run.json")) or list(into.rglob("*log*"))
    # a name with a colon that names no machine is a name
    done = on(place, "logs", "south:remote-1")
    assert done.returncode == 66
    assert "south:remote-1" in done.stderr


def test_a_job_names_its_machine_once(place: Path) -> None:
    done = on(place, "logs", "west:remote-1", "--sandbox", "east")
    assert done.returncode == 2
    assert "west:remote-1 is a job of west, and `sandbox` is east" in done.stderr
    done = on(place, "stop", "west:remote-1", "--on", "all")
    assert done.returncode == 2
    done = on(place, "events", "west:remote-1", "east:remote-1")
    assert done.returncode == 2
    assert "these are jobs of west and east" in done.stderr


def test_a_wait_for_jobs_of_two_machines_ends_with_the_first_or_with_all(
    place: Path,
) -> None:
    background(place, "east", "sleep 60")
    background(place, "west", "sleep 1; exit 3")
    done = on(place, "wait", "remote-1", "west:remote-1", "--json")
    assert list(value_of(done)) == ["west"]
    assert done.returncode == 3
    background(place, "north", "true")
    done = on(place, "wait", "west:1", "north:1", "--all", "--json")
    assert list(value_of(done)) == ["west", "north"]
    assert done.returncode == 3


def test_the_table_of_several_machines_says_how_one_job_is_named(place: Path) -> None:
    background(place, "west", "true")
    done = on(place, "jobs", "--on", "all")
    assert "one of them: sandbox-ops logs west:remote-1\n" in done.stdout


def test_a_file_goes_to_several_machines_at_once(place: Path) -> None:
    (place / "data.bin").write_bytes(b"x" * 100_000)
    describe(place.parent, NAMES, '[sandboxes.dead]\nhost = "127.0.0.1"\nport = 1')
    done = on(place, "put", "data.bin", "~/in/", "--on", "all", "--json")
    assert done.returncode == 255
    answers = value_of(done)
    assert answers["dead"]["error"]["kind"] == "connect"
    sums = {answers[name]["files"][0]["sha256"] for name in NAMES}
    assert len(sums) == 1
    for name in NAMES:
        assert (place.parent / name / "in" / "data.bin").stat().st_size == 100_000
    done = on(place, "put", "data.bin", "~/in/", "--on", "east,west")
    assert done.stdout.count("of the same content already") == 2


def test_monitor_says_of_all_machines_what_is_free_runs_and_costs(place: Path) -> None:
    fake_gpus(place.parent / "east", IDLE, BUSY)
    background(place, "west", "sleep 60")
    file = place.parent / "config" / "sandbox-ops" / "config.toml"
    priced = file.read_text().replace(
        "[sandboxes.east]", "[sandboxes.east]\ncost_per_hour = 2.5"
    )
    file.write_text(f'{priced}[sandboxes.dead]\nhost = "127.0.0.1"\nport = 1\n')
    done = on(place, "monitor", "--on", "all")
    assert done.returncode == 255
    *_, headline, by_use = done.stdout.splitlines()
    assert headline == (
        "4 machines: 1 of 2 GPUs free; 1 running, 0 waiting; 1 not reachable; "
        "2.50 an hour (2.50 of it idle)"
    )
    assert "east (1 of 2 GPUs)" in by_use
    assert by_use.endswith("not reachable: dead")
    done = on(place, "monitor", "--on", "all", "--json")
    totals = json.loads(done.stdout)["totals"]
    assert (totals["gpus"], totals["gpus_free"]) == (2, 1)
    assert (totals["machines"], totals["reachable"]) == (4, 3)
    assert (totals["jobs_running"], totals["cost_per_hour"]) == (1, 2.5)


def test_a_training_over_more_machines_than_connections_are_kept_for_keeps_none(
    place: Path, sshd: SshServer
) -> None:
    names = [f"m{n}" for n in range(10)]
    entries = [
        f'[sandboxes.{name}]\nhost = "box"\nssh_config = "{sshd.ssh_config}"'
        for name in names
    ]
    describe(place.parent, NAMES, "\n".join(entries))
    train = ("train", "--on", ",".join(names), "--set", "n=1..2", "--dry-run")
    done = keeping_none(place, *train, "--", "echo", "{n}")
    assert "without the agent process" not in done.stderr
