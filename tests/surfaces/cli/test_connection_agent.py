"""The process that keeps a connection for the next command, with a real sshd."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import processes
import pytest
from command_line import PROGRAM, cli
from round_trips import far_away
from sshd import SshServer
from waiting import wait_until

Make = Callable[..., SshServer]
_WHICH = ("run", "--command", "echo $SSH_CONNECTION")


@dataclass
class Desk:
    """Where somebody types commands: a folder, an environment, a machine."""

    server: SshServer
    place: Path
    runtime: Path
    env: dict[str, str]

    def __call__(self, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
        return cli(*words, cwd=self.place, env={**self.env, **env})

    def well(self, *words: str, **env: str) -> str:
        done = self(*words, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def folder(self) -> Path:
        return self.runtime / "sandbox-ops"

    def agents(self) -> list[int]:
        status = json.loads(self.well("agent", "--json"))
        return [each["pid"] for each in status["agents"]]


@pytest.fixture
def seat(tmp_path: Path) -> Iterator[Callable[[SshServer], Desk]]:
    """Sit down before a machine; what keeps connections is ended afterwards."""
    # the path of a Unix socket may not be long
    with tempfile.TemporaryDirectory(prefix="run-") as runtime:
        desks = []

        def sit(server: SshServer) -> Desk:
            place = tmp_path / "place"
            place.mkdir()
            server.write_toml(place)
            env = {
                "XDG_RUNTIME_DIR": runtime,
                "SANDBOX_OPS_AGENT_IDLE_S": "60",
                "CI": "",
            }
            desks.append(Desk(server, place, Path(runtime), env))
            return desks[-1]

        yield sit
        for desk in desks:
            desk("agent", "--stop")


@pytest.fixture
def desk(sshd: SshServer, seat: Callable[[SshServer], Desk]) -> Desk:
    return seat(sshd)


def test_two_commands_share_one_connection(desk: Desk) -> None:
    first, second = desk.well(*_WHICH), desk.well(*_WHICH)
    assert first == second
    assert len(desk.agents()) == 1
    assert desk.well("--no-agent", *_WHICH) != first


def test_a_command_through_a_kept_connection_waits_for_one_round_trip(
    make_sshd: Make, seat: Callable[[SshServer], Desk]
) -> None:
    # so far that a crowded machine sends its question before an answer to the 5 s probe
    with far_away(make_sshd(), one_way_s=0.3) as far:
        desk = seat(far.server)
        desk.well("run", "--", "true")
        assert far.least(lambda: desk.well("run", "--", "true")) == 1
        desk.well("agent", "--stop")


def test_without_a_word_a_connection_is_kept_and_doctor_says_how_to_end_it(
    desk: Desk,
) -> None:
    unset = {"SANDBOX_OPS_AGENT_IDLE_S": ""}
    first = desk.well(*_WHICH, **unset)
    assert desk.well(*_WHICH, **unset) == first
    (pid,) = desk.agents()
    checks = json.loads(desk("doctor", "--json", **unset).stdout)["checks"]
    (check,) = [each for each in checks if each["name"] == "kept connections"]
    assert (check["result"], f"process {pid}" in check["detail"]) == ("ok", True)
    assert "sandbox-ops agent --stop" in check["detail"]


def test_the_process_has_no_terminal_and_nothing_of_the_commands_open(
    desk: Desk,
) -> None:
    with (desk.place / "mine").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        subprocess.run(
            [PROGRAM, "run", "--", "true"],
            cwd=desk.place, env={**os.environ, **desk.env}, check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, close_fds=False,
        )  # fmt: skip
    (pid,) = desk.agents()
    opened = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
    kinds = {name.partition(":")[0] for name in opened}
    assert kinds <= {"/dev/null", "socket", "pipe", "anon_inode"}
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    assert (int(stat[3]), int(stat[4])) == (pid, 0)  # a session of its own, no terminal
    (path,) = desk.folder.glob("*.sock")
    assert (path.stat().st_mode & 0o777, desk.folder.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )


def test_a_login_that_asked_for_a_passphrase_is_not_kept_unless_that_is_asked_for(
    desk: Desk, tmp_path: Path
) -> None:
    key = desk.server.identity_file
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "a secret", "-f", key], check=True)
    asked, program = tmp_path / "asked", tmp_path / "askpass"
    program.write_text(f"#!/bin/sh\necho x >>{asked}\necho 'a secret'\n")
    program.chmod(0o755)
    askpass = {"SSH_ASKPASS": str(program), "SSH_ASKPASS_REQUIRE": "force"}
    try:
        for kept_s, times in (("", 2), ("60", 1)):
            asked.write_text("")
            for _ in range(2):
                desk.well(
                    "run", "--", "true", SANDBOX_OPS_AGENT_IDLE_S=kept_s, **askpass
                )
                if not kept_s:  # it ends when the command has
                    wait_until(lambda: not list(desk.folder.glob("*.sock")), 10)
            assert asked.read_text() == "x\n" * times
    finally:
        subprocess.run(
            ["ssh-keygen", "-q", "-p", "-P", "a secret", "-N", "", "-f", key],
            check=True,
        )


def test_a_process_that_nobody_can_find_any_more_ends(desk: Desk) -> None:
    setting = f"XDG_RUNTIME_DIR={desk.runtime}"
    desk.well(*_WHICH, SANDBOX_OPS_AGENT_IDLE_S="2")
    (path,) = desk.folder.glob("*.sock")
    path.unlink()  # as the end of a login session does
    wait_until(lambda: not processes.carrying(setting), 20)


def test_a_connection_that_died_while_the_computer_slept_holds_nobody_up(
    make_sshd: Make, seat: Callable[[SshServer], Desk]
) -> None:
    desk = seat(make_sshd())
    first = desk.well(*_WHICH)
    (pid,) = desk.agents()
    asleep = [pid, *desk.server.session_pids()]
    for each in asleep:
        os.kill(each, signal.SIGSTOP)
    slept_at = time.monotonic()
    wait_until(lambda: time.monotonic() - slept_at > 6, 10)
    os.kill(pid, signal.SIGCONT)
    began = time.monotonic()
    assert desk.well(*_WHICH) != first
    assert time.monotonic() - began < 10  # and not until the dead one is given up
    for each in asleep[1:]:
        os.kill(each, signal.SIGCONT)


@pytest.mark.slow
def test_a_ninth_process_is_not_started(desk: Desk) -> None:
    for number in range(8):
        desk.well("run", "--", "true", NUMBER=str(number))
    done = desk("run", "--", "true", NUMBER="8")
    assert (done.returncode, done.stderr) == (0, "")  # nothing is wrong
    assert len(desk.agents()) == 8


def test_output_input_and_exit_codes_are_those_of_a_direct_connection(
    desk: Desk,
) -> None:
    command = "head -c 3000000 /dev/zero | tr '\\0' x; echo oops >&2; cat; exit 3"
    for words in ((), ("--no-agent",)):
        done = desk(*words, "run", "--command", command)
        assert (len(done.stdout), done.returncode) == (3000000, 3)
        assert done.stderr.startswith("oops\n")


def test_a_killed_agent_is_replaced(desk: Desk) -> None:
    first = desk.well(*_WHICH)
    (pid,) = desk.agents()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes.alive(pid), 10)
    assert desk.well(*_WHICH) != first
    assert desk.agents() not in ([], [pid])


def test_a_command_goes_on_when_its_agent_is_killed(desk: Desk) -> None:
    go = desk.place / "go"
    command = f"echo begun; until [ -e {go} ]; do sleep 0.1; done; echo done"
    with subprocess.Popen(
        [PROGRAM, "run", "--command", command],
        cwd=desk.place, env={**os.environ, **desk.env}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        (pid,) = desk.agents()
        os.kill(pid, signal.SIGKILL)
        go.touch()
        assert child.stdout.read() == "done\n"
        assert child.wait(30) == 0


def test_many_requests_of_one_command_wait_for_no_silent_link(desk: Desk) -> None:
    began = desk.well("run", "--json", "--command", "sleep 300 & echo left; exit 0")
    command = json.loads(began)
    assert command["stdout"] == "left\n"
    stopped = desk("stop", command["job"]["id"], "--grace", "1")
    assert stopped.returncode == 0, stopped.stderr


def test_an_agent_that_is_stopped_is_gone(desk: Desk) -> None:
    desk.well(*_WHICH)
    (pid,) = desk.agents()
    desk.well("agent", "--stop")
    wait_until(lambda: not processes.alive(pid), 10)
    assert list(desk.folder.iterdir()) == []


def test_an_agent_that_nobody_uses_ends(desk: Desk) -> None:
    desk.well(*_WHICH, SANDBOX_OPS_AGENT_IDLE_S="1")
    setting = f"XDG_RUNTIME_DIR={desk.runtime}"
    wait_until(lambda: not processes.carrying(setting), 20)
    assert list(desk.folder.iterdir()) == []


def test_a_command_that_lasts_keeps_its_agent(desk: Desk) -> None:
    done = desk.well(
        "run", "--command", "sleep 3; echo done", SANDBOX_OPS_AGENT_IDLE_S="1"
    )
    assert done == "done\n"


def test_none_is_started_where_none_is_wanted(desk: Desk) -> None:
    desk.well("--no-agent", "run", "--", "true")
    desk.well("run", "--", "true", SANDBOX_OPS_AGENT_IDLE_S="0")
    desk.well("run", "--", "true", SANDBOX_OPS_AGENT_IDLE_S="", CI="true")
    assert not desk.folder.exists()
    wrong = desk("run", "--", "true", SANDBOX_OPS_AGENT_IDLE_S="long")
    assert wrong.returncode == 78
    assert "SANDBOX_OPS_AGENT_IDLE_S is 'long'" in wrong.stderr


def test_a_folder_that_others_may_use_is_not_used(desk: Desk) -> None:
    desk.folder.mkdir()
    desk.folder.chmod(0o755)
    done = desk("run", "--", "echo", "here")
    assert (done.stdout, done.returncode) == ("here\n", 0)
    assert "connecting without the agent process" in done.stderr
    assert list(desk.folder.iterdir()) == []


def test_a_socket_of_another_user_is_refused(desk: Desk) -> None:
    desk.well(*_WHICH)
    desk.well("agent", "--stop")
    desk.well(*_WHICH)
    (path,) = desk.folder.glob("*.sock")
    (pid,) = desk.agents()
    os.kill(pid, signal.SIGKILL)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as foreign:
        foreign.bind(str(path))
        foreign.listen()
        os.chown(path, 65534, -1)
        done = desk("run", "--", "echo", "here")
        path.unlink()
    assert (done.stdout, done.returncode) == ("here\n", 0)
    assert f"{path} is not a socket of ours" in done.stderr


def test_a_host_key_that_is_trusted_no_more_is_refused_at_the_next_command(
    make_sshd: Make, seat: Callable[[SshServer], Desk]
) -> None:
    desk = seat(make_sshd())
    desk.well(*_WHICH)
    desk.server.known_hosts.write_text("")
    direct, kept = desk("--no-agent", "run", "--", "true"), desk("run", "--", "true")
    assert kept.returncode == 255
    assert kept.stderr == direct.stderr
    assert "sandbox-ops trust" in kept.stderr


def test_a_connection_that_died_meanwhile_is_made_again(
    make_sshd: Make, seat: Callable[[SshServer], Desk]
) -> None:
    desk = seat(make_sshd())
    first = desk.well(*_WHICH)
    desk.server.restart()
    assert desk.well(*_WHICH) != first
    assert len(desk.agents()) == 1


def test_a_machine_that_cannot_be_reached_is_reported_as_without_an_agent(
    make_sshd: Make, seat: Callable[[SshServer], Desk]
) -> None:
    desk = seat(make_sshd())
    desk.server.stop()
    direct, kept = desk("--no-agent", "run", "--", "true"), desk("run", "--", "true")
    assert (kept.returncode, kept.stderr) == (direct.returncode, direct.stderr)


def test_commands_at_once_share_a_server_that_allows_one_session(
    make_sshd: Make, seat: Callable[[SshServer], Desk]
) -> None:
    desk = seat(make_sshd(max_sessions=1))
    desk.well(*_WHICH)
    with ThreadPoolExecutor() as pool:
        done = list(
            pool.map(lambda n: desk.well("run", "--", "echo", str(n)), range(3))
        )
    assert done == ["0\n", "1\n", "2\n"]


def test_another_environment_has_another_connection(desk: Desk) -> None:
    first = desk.well(*_WHICH)
    assert desk.well(*_WHICH, SSH_AUTH_SOCK="/nowhere/agent.sock") != first
    assert len(desk.agents()) == 2
    assert desk.well(*_WHICH, COLUMNS="40") == first
