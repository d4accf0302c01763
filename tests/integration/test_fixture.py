"""The fixtures themselves: what every other test relies on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import processes
import pytest
from gitproject import GitProject
from sshd import SshServer
from waiting import wait_until

MakeSshd = Callable[..., SshServer]


def test_the_server_accepts_our_key_and_the_home_is_empty(make_sshd: MakeSshd) -> None:
    server = make_sshd()
    assert server.ssh('echo "$HOME"').strip() == str(server.home)
    assert server.ssh("ls -A ~") == ""


def test_every_config_has_a_workspace_of_its_own(sshd: SshServer) -> None:
    first, second = sshd.config(), sshd.config(host="box", port=None)
    assert first.workspace != second.workspace
    assert (second.host, second.port) == ("box", None)


def test_what_a_dead_session_leaves_is_seen_and_ended(make_sshd: MakeSshd) -> None:
    server = make_sshd()
    server.ssh("nohup sleep 86402 >/dev/null 2>&1 </dev/null & echo")
    wait_until(lambda: "sleep 86402" in server.leftovers().values())
    server.close()
    assert server.leftovers() == {}


def test_sessions_can_be_found_and_killed(make_sshd: MakeSshd) -> None:
    server = make_sshd()
    assert server.session_pids() == ()
    with pytest.raises(AssertionError, match="255"):
        _kill_the_session_while(server, "sleep 86403")
    wait_until(lambda: server.session_pids() == ())


def _kill_the_session_while(server: SshServer, command: str) -> None:
    import threading

    def kill() -> None:
        wait_until(lambda: command in server.leftovers().values())
        for pid in server.session_pids():
            os.kill(pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        server.ssh(f"exec {command}")
    finally:
        killer.join()


def test_a_restarted_server_has_its_port_and_key_again(make_sshd: MakeSshd) -> None:
    server = make_sshd()
    before = server.listener_pid
    server.restart()
    assert server.listener_pid != before
    assert server.ssh("echo back") == "back\n"


def test_a_new_host_key_is_one_that_ssh_refuses(make_sshd: MakeSshd) -> None:
    server = make_sshd()
    server.new_host_key()
    with pytest.raises(AssertionError, match="HOST IDENTIFICATION HAS CHANGED"):
        server.ssh("true")


@pytest.mark.parametrize("shell", ["/bin/dash", "/usr/bin/fish", "/bin/csh"])
def test_another_login_shell_runs_the_commands(make_sshd: MakeSshd, shell: str) -> None:
    server = make_sshd(login_shell=shell)
    name = server.ssh("ps -o comm= -p $fish_pid" if "fish" in shell else "ps -p $$")
    assert Path(shell).name in name.replace("bsd-csh", "csh")


def test_the_session_limit_and_the_environment_can_be_set(make_sshd: MakeSshd) -> None:
    server = make_sshd(
        max_sessions=1, environment={"GREETING": "good day"}, extra="LogLevel DEBUG1"
    )
    assert server.ssh("echo $GREETING") == "good day\n"
    assert "debug1: " in server.log
    assert "MaxSessions 1\n" in (server.folder / "sshd_config").read_text("utf-8")


def test_nothing_outlives_a_closed_server(make_sshd: MakeSshd) -> None:
    server = make_sshd()
    listener = server.listener_pid
    server.close()
    assert not processes.alive(listener)


def test_a_server_ends_when_its_tests_are_killed(tmp_path: Path) -> None:
    begin = (
        "import os, pathlib, signal, sshd\n"
        f"server = sshd.start_sshd(pathlib.Path({str(tmp_path)!r}) / 'server')\n"
        "print(server.listener_pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    helpers = str(Path(__file__).parents[1] / "support")
    killed = subprocess.run(
        [sys.executable, "-c", begin],
        env={**os.environ, "PYTHONPATH": helpers},
        stdout=subprocess.PIPE,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    wait_until(lambda: not processes.alive(int(killed.stdout)))


def test_a_project_begins_clean_and_pushed(git_project: GitProject) -> None:
    assert git_project.git("status", "--porcelain", "--branch") == (
        "## main...origin/main"
    )
    assert git_project.project().repo.endswith("/bucket-brigade.git")


def test_a_commit_that_is_not_pushed_is_ahead(git_project: GitProject) -> None:
    first = git_project.head
    assert git_project.commit({"src/a.py": "pass\n"}) != first
    assert git_project.git("rev-list", "--count", "origin/main..main") == "1"
    git_project.push()
    assert git_project.git("rev-list", "--count", "origin/main..main") == "0"


def test_tests_do_not_see_the_developers_own_settings() -> None:
    assert os.environ["GIT_CONFIG_GLOBAL"] == os.devnull
    assert list(Path.home().glob(".ssh/*")) == []
    assert "SSH_AUTH_SOCK" not in os.environ
