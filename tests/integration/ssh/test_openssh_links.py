"""A whole sandbox over the user's own `ssh` and its master connection: a real sshd."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import EndKind, JobState, Sandbox
from sandbox_ops.errors import AuthenticationError, ConnectError, HostKeyError
from sandbox_ops.machine import jobs, transfer
from sandbox_ops.ssh.openssh_links import OpensshLinks


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
    OpensshLinks(config).end_master()


def test_a_command_runs_over_the_users_ssh(over_ssh: Sandbox) -> None:
    result = over_ssh.run("echo out; echo err >&2; exit 3")
    assert (result.end, result.exit_code) == (EndKind.EXITED, 3)
    assert (result.stdout.text, result.stderr.text) == ("out\n", "err\n")


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
    links = OpensshLinks(config)
    assert links.control_path == str(socket)
    subprocess.run(links.login_command(), check=True, timeout=30)
    try:
        before = sshd.log.count("Accepted publickey")
        with Sandbox(config) as sandbox:
            assert sandbox.run("echo hi").stdout.text == "hi\n"
        assert sshd.log.count("Accepted publickey") == before
        assert links.has_master()  # it is the user's: closing leaves it
    finally:
        assert links.end_master()


def test_a_command_is_answered_once_after_its_master_was_killed(
    over_ssh: Sandbox,
) -> None:
    over_ssh.run("true")
    call = over_ssh.submit(
        "sleep 1; echo once >>$HOME/runs; cat $HOME/runs; rm $HOME/runs"
    )
    wait_until(lambda: call.job_id)
    links = OpensshLinks(over_ssh.config)
    assert links.end_master()
    result = call.future.result(30)
    assert (result.end, result.stdout.text) == (EndKind.EXITED, "once\n")


def test_a_job_lives_on_where_the_connection_is_gone_for_good(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    config = server.config(link="openssh")
    with Sandbox(config) as sandbox:
        call = sandbox.submit("sleep 7771")
        wait_until(lambda: call.job_id)
        server.stop()
        OpensshLinks(config).end_master()
        lost_at = time.monotonic()
        result = call.future.result(40)
        assert time.monotonic() - lost_at < 25
        assert (result.end, result.job.state) == (
            EndKind.CONNECTION_LOST,
            JobState.UNKNOWN,
        )
        server.start()
        assert jobs.stop(sandbox, str(call.job_id), grace_s=0).left == ()
    OpensshLinks(config).end_master()


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
    OpensshLinks(config).end_master()


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
    OpensshLinks(config).end_master()
