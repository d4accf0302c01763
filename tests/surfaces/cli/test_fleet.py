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
from sshd import SshServer
from waiting import wait_until

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
    runtime = tempfile.mkdtemp(dir="/tmp")
    env = {
        "XDG_CONFIG_HOME": str(place.parent / "config"),
        "XDG_RUNTIME_DIR": runtime,
        "SANDBOX_OPS_AGENT_IDLE_S": "60",
    }
    done = cli("run", "--on", ",".join(names), "--", "true", cwd=place, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert jump.log.count("Accepted publickey") == 1
    assert list(Path(runtime).iterdir()) == []
    Path(runtime).rmdir()
