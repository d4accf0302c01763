"""A whole sandbox over the user's own `ssh` and its master connection: a real sshd."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import pytest
from cable import Cable
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import EndKind, JobState, Sandbox, SandboxConfig
from sandbox_ops.errors import AuthenticationError, ConnectError, HostKeyError
from sandbox_ops.machine import jobs, transfer
from sandbox_ops.ssh.openssh_master import MOST, Master, end_all


@pytest.fixture(autouse=True)
def _runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place for sockets that only this test has: with a short path."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


@pytest.fixture
def over_ssh(sshd: SshServer) -> Iterator[Sandbox]:
    """A sandbox that is reached by the user's own ssh."""
    config = sshd.config(link="openssh")
    with Sandbox(config) as sandbox:
        yield sandbox
    end_all(config)


def test_a_command_runs_over_the_users_ssh(over_ssh: Sandbox) -> None:
    result = over_ssh.run("echo out; echo err >&2; exit 3")
    assert (result.end, result.exit_code) == (EndKind.EXITED, 3)
    assert (result.stdout.text, result.stderr.text) == ("out\n", "err\n")


def test_a_first_command_starts_ssh_to_look_up_to_connect_and_for_its_session(
    sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    counting = tmp_path / "bin" / "ssh"
    counting.parent.mkdir()
    counting.write_text(
        f'#!/bin/sh\nprintf "%s@@@@" "$*" >>{started}\nexec {shutil.which("ssh")} "$@"\n'
    )
    counting.chmod(0o755)
    monkeypatch.setenv("PATH", f"{counting.parent}:{os.environ['PATH']}")
    config = sshd.config(link="openssh")
    with Sandbox(config) as sandbox:
        assert sandbox.run("true").ok
    first = started.read_text().split("@@@@")[:-1]
    with Sandbox(config) as sandbox:
        assert sandbox.run("true").ok
    later = started.read_text().split("@@@@")[len(first) : -1]
    end_all(config)
    assert ["-G" in first[0], "-N" in first[1], "-T" in first[2]] == [True] * 3
    assert ["-G" in later[0], "-O check" in later[1], "-T" in later[2]] == [True] * 3
    assert (len(first), len(later)) == (3, 3)


def test_neither_paramiko_nor_fabric_is_imported_for_a_command(sshd: SshServer) -> None:
    code = (
        "import sys; from sandbox_ops import Sandbox, SandboxConfig\n"
        f"config = SandboxConfig(**{_fields(sshd)!r})\n"
        "with Sandbox(config) as s: print(s.run('echo hi').stdout.text, end='')\n"
        "print([m for m in ('paramiko', 'fabric', 'invoke') if m in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "hi\n[]\n", done.stderr


def _fields(sshd: SshServer) -> dict[str, object]:
    config = sshd.config(link="openssh")
    names = (
        "name",
        "host",
        "port",
        "user",
        "identity_file",
        "known_hosts",
        "ssh_config",
    )
    return {name: getattr(config, name) for name in names} | {"link": "openssh"}


def test_all_links_share_one_connection(sshd: SshServer, over_ssh: Sandbox) -> None:
    before = sshd.log.count("Accepted publickey")
    calls = [over_ssh.submit("sleep 0.3; echo done") for _ in range(6)]
    assert {call.future.result(60).stdout.text for call in calls} == {"done\n"}
    assert sshd.log.count("Accepted publickey") - before == 1


def test_a_master_that_the_user_has_is_used(sshd: SshServer, tmp_path: Path) -> None:
    socket = tmp_path / "mine"
    mine = tmp_path / "ssh_config"
    mine.write_text(f"Host *\n  ControlPath {socket}\n{sshd.ssh_config.read_text()}")
    config = sshd.config(link="openssh", ssh_config=str(mine), host="box", port=None)
    master = Master(config)
    assert master.path == str(socket)
    subprocess.run(master.login_command(), check=True, timeout=30)
    try:
        before = sshd.log.count("Accepted publickey")
        with Sandbox(config) as sandbox:
            assert sandbox.run("echo hi").stdout.text == "hi\n"
        assert sshd.log.count("Accepted publickey") == before
        assert master.is_open()  # it is the user's: closing leaves it
    finally:
        assert master.end()


def test_a_command_is_answered_once_after_its_master_was_killed(
    over_ssh: Sandbox,
) -> None:
    over_ssh.run("true")
    call = over_ssh.submit(
        "sleep 1; echo once >>$HOME/runs; cat $HOME/runs; rm $HOME/runs"
    )
    wait_until(lambda: call.job_id)
    assert Master(over_ssh.config).end()
    result = call.future.result(30)
    assert (result.end, result.stdout.text) == (EndKind.EXITED, "once\n")


@pytest.mark.slow
def test_a_job_lives_on_where_the_connection_is_gone_for_good(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    config = server.config(link="openssh")
    with Sandbox(config) as sandbox:
        call = sandbox.submit("sleep 7771")
        wait_until(lambda: call.job_id)
        server.stop()
        end_all(config)
        lost_at = time.monotonic()
        result = call.future.result(40)
        assert time.monotonic() - lost_at < 25
        assert (result.end, result.job.state) == (
            EndKind.CONNECTION_LOST,
            JobState.UNKNOWN,
        )
        server.start()
        assert jobs.stop(sandbox, str(call.job_id), grace_s=0).left == ()
    end_all(config)


def test_files_go_there_and_back_over_the_users_ssh(
    over_ssh: Sandbox, tmp_path: Path
) -> None:
    source, back = tmp_path / "source", tmp_path / "back"
    there = f"{over_ssh.config.workspace}/there"
    source.write_bytes(os.urandom(3_000_000))
    sent = transfer.upload(over_ssh, source, there)
    transfer.download(over_ssh, there, back, size_bytes=sent.size_bytes)
    assert back.read_bytes() == source.read_bytes()


def test_one_session_is_enough(make_sshd: Callable[..., SshServer]) -> None:
    server = make_sshd(max_sessions=1)
    config = server.config(link="openssh")
    with Sandbox(config) as sandbox:
        calls = [sandbox.submit(f"echo {n}") for n in range(8)]
        texts = [call.future.result(60).stdout.text for call in calls]
    assert texts == [f"{n}\n" for n in range(8)]
    end_all(config)


def test_a_key_that_is_not_accepted_is_an_authentication_error_that_names_login(
    sshd: SshServer, tmp_path: Path
) -> None:
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-f", key], check=True)
    config = sshd.config(link="openssh", identity_file=str(key))
    with (
        Sandbox(config) as sandbox,
        pytest.raises(AuthenticationError, match="authentication failed") as caught,
    ):
        sandbox.run("true")
    assert "sandbox-ops login" in str(caught.value)


def test_an_unknown_host_key_is_refused_by_ssh_and_trust_is_named(
    sshd: SshServer, tmp_path: Path
) -> None:
    config = sshd.config(link="openssh", known_hosts=str(tmp_path / "empty"))
    with Sandbox(config) as sandbox, pytest.raises(HostKeyError) as caught:
        sandbox.run("true")
    assert "sandbox-ops trust" in str(caught.value)


def test_a_host_that_refuses_is_a_connect_error_within_seconds(sshd: SshServer) -> None:
    started = time.monotonic()
    with (
        Sandbox(sshd.config(link="openssh", port=1)) as sandbox,
        pytest.raises(ConnectError, match="Connection refused"),
    ):
        sandbox.run("true")
    assert time.monotonic() - started < 10


@pytest.mark.slow
def test_a_frozen_machine_is_noticed_while_a_command_is_followed(
    make_sshd: Callable[..., SshServer],
) -> None:
    """The master asks every 5 s, three times: see ServerAliveInterval."""
    server = make_sshd()
    config = server.config(link="openssh")
    with Sandbox(config) as sandbox:
        call = sandbox.submit("sleep 7781")
        wait_until(lambda: call.job_id)
        frozen = (server.listener_pid, *server.session_pids())
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            result = call.future.result(60)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        assert result.end is EndKind.CONNECTION_LOST
        assert jobs.stop(sandbox, str(call.job_id), grace_s=0).left == ()
    end_all(config)


@pytest.mark.slow
def test_where_others_have_every_session_a_further_connection_is_opened_and_at_last_refused(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd(max_sessions=1)
    config = server.config(link="openssh")
    with contextlib.ExitStack() as ends:
        ends.callback(end_all, config)
        for n in range(MOST):
            other = ends.enter_context(Sandbox(config))
            assert other.run(f"echo {n}").stdout.text == f"{n}\n"
        one_more = ends.enter_context(Sandbox(config))
        with pytest.raises(ConnectError, match="allows no further session"):
            one_more.run("true")
    assert server.log.count("Accepted publickey") == MOST


def masters(config: SandboxConfig) -> list[int]:
    """Return the pids of the ssh processes that keep a connection for us."""
    path = Master(config).path
    lines = processes.carrying(f"XDG_RUNTIME_DIR={os.environ['XDG_RUNTIME_DIR']}")
    return [
        pid for pid, line in lines.items()
        if line.startswith(f"ssh: {path} [mux]") or (path in line and " -N " in line)
    ]  # fmt: skip


def test_a_master_that_was_killed_is_replaced_in_mid_command_and_leaves_nothing(
    over_ssh: Sandbox,
) -> None:
    over_ssh.run("true")
    call = over_ssh.submit("sleep 1; echo once >>$HOME/n; cat $HOME/n; rm $HOME/n")
    wait_until(lambda: call.job_id)
    (master,) = masters(over_ssh.config)
    os.kill(master, signal.SIGKILL)
    assert call.future.result(30).stdout.text == "once\n"
    assert len(masters(over_ssh.config)) == 1
    assert end_all(over_ssh.config)
    wait_until(lambda: not masters(over_ssh.config), what="the end of the master")


def test_of_many_processes_that_come_at_once_one_opens_the_master(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd(extra="MaxStartups 2:80:4")
    config = server.config(link="openssh")
    program = (
        "from sandbox_ops.models import SandboxConfig\n"
        "from sandbox_ops.ssh.openssh_master import Master\n"
        f"Master({config!r}).open(20)\n"
    )
    clients = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(5)]
    assert [client.wait(40) for client in clients] == [0] * 5
    assert server.log.count("Accepted publickey") == 1
    assert len(masters(config)) == 1
    assert end_all(config)


def test_a_server_that_drops_new_clients_is_asked_again(
    sshd: SshServer, tmp_path: Path
) -> None:
    """As sshd does at random where many come at once (MaxStartups)."""
    with socket.create_server((sshd.host, 0)) as listener:
        carried = Cable(listener, (sshd.host, sshd.port))

        def drop_two_then_carry() -> None:
            for _ in range(2):
                listener.accept()[0].close()
            carried.carry()

        thread = threading.Thread(target=drop_two_then_carry, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        known = tmp_path / "known_hosts"
        key = sshd.known_hosts.read_text().split(maxsplit=1)[1]
        known.write_text(f"[{sshd.host}]:{port} {key}")
        config = sshd.config(link="openssh", port=port, known_hosts=str(known))
        with Sandbox(config) as sandbox:
            assert sandbox.run("echo in").stdout.text == "in\n"
        assert end_all(config)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        carried.cut(reset=False)


@pytest.mark.parametrize(
    "control",
    ["ControlMaster auto\n  ControlPersist 60\n  ControlPath {folder}/cm-%C",
     "ControlPath {folder}/" + "long" * 30,
     "ControlMaster auto\n  ControlPath {folder}/missing/cm-%C"],
    ids=["ControlMaster auto", "a path too long for a socket", "a folder that is missing"],
)  # fmt: skip
def test_whatever_ssh_config_says_of_masters_one_connection_is_kept(
    sshd: SshServer, control: str
) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        own = Path(folder) / "ssh_config"
        own.write_text(
            f"Host *\n  {control.format(folder=folder)}\n{sshd.ssh_config.read_text()}"
        )
        config = sshd.config(link="openssh", ssh_config=str(own), host="box", port=None)
        before = sshd.log.count("Accepted publickey")
        with Sandbox(config) as sandbox:
            assert sandbox.run("echo hi").stdout.text == "hi\n"
        with Sandbox(config) as sandbox:
            assert sandbox.run("echo hi").stdout.text == "hi\n"
        assert end_all(config)
        assert sshd.log.count("Accepted publickey") == before + 1


def test_a_runtime_folder_too_long_for_a_socket_does_no_harm(
    sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("long" * 20)
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    config = sshd.config(link="openssh")
    with Sandbox(config) as sandbox:
        assert sandbox.run("echo hi").stdout.text == "hi\n"
    assert end_all(config)


def test_a_jump_host_of_ssh_config_is_ssh_s_own_business(
    sshd: SshServer, make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    jump = make_sshd()
    text = jump.ssh_config.read_text().replace("Host box", "Host jump")
    own = tmp_path / "ssh_config"
    behind = sshd.ssh_config.read_text()
    own.write_text(f"Host box\n  ProxyJump jump\n{behind}\n{text}")
    config = sshd.config(link="openssh", ssh_config=str(own), host="box", port=None)
    with Sandbox(config) as sandbox:
        assert sandbox.run("echo behind").stdout.text == "behind\n"
    assert jump.log.count("Accepted publickey") == 1
    assert end_all(config)


def test_without_an_ssh_client_the_error_says_so(
    sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with (
        Sandbox(sshd.config(link="openssh")) as sandbox,
        pytest.raises(ConnectError, match="ssh is not installed on this computer"),
    ):
        sandbox.run("true")


def test_sessions_go_on_where_only_the_listener_is_restarted(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    config = server.config(link="openssh")
    with Sandbox(config) as sandbox:
        sandbox.run("true")
        server.restart(sessions=False)
        assert sandbox.run("echo same").stdout.text == "same\n"
        server.restart()
        assert sandbox.run("echo new").stdout.text == "new\n"
    end_all(config)
