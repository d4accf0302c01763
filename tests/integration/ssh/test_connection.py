"""The connection resolves, trusts and fails as OpenSSH's users expect."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from fabric import Connection
from sshd import SshServer

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.errors import ConfigError, ConnectError, HostKeyError
from sandbox_ops.links import LinkEnd


def client_config(server: SshServer, path: Path, lines: str) -> str:
    """Write an ssh_config that reaches the server as `target`, with more lines."""
    path.write_text(
        f"Host target\n  HostName 127.0.0.1\n  Port {server.port}\n  User {server.user}\n"
        f"  IdentityFile {server.identity_file}\n  UserKnownHostsFile {server.known_hosts}\n{lines}\n"
    )
    return str(path)


def through(config_file: str, host: str = "target") -> SandboxConfig:
    return SandboxConfig(name="t", host=host, ssh_config=config_file)


def test_a_proxy_command_in_an_included_file_works(
    sshd: SshServer, tmp_path: Path
) -> None:
    used = tmp_path / "used"
    client_config(
        sshd,
        tmp_path / "included",
        f"  ProxyCommand sh -c 'echo %h %p %n >>{used}; exec nc %h %p'",
    )
    main = tmp_path / "config"
    main.write_text(f"Include {tmp_path}/included\n")
    with Sandbox(through(str(main))) as sandbox:
        assert sandbox.run("echo through").stdout.text == "through\n"
    assert used.read_text() == f"127.0.0.1 {sshd.port} target\n"


def test_match_exec_and_tokens_are_openssh_s_business(
    sshd: SshServer, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f'Match originalhost m-%h exec "false"\n  Port 1\n'
        f'Match originalhost lab exec "test %n = lab"\n  HostName 127.0.0.1\n  Port {sshd.port}\n'
        f"  User {sshd.user}\n  IdentityFile {sshd.identity_file}\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    with Sandbox(through(str(config), "lab")) as sandbox:
        assert sandbox.run("echo matched").stdout.text == "matched\n"


def test_a_chain_of_jump_hosts_works_and_each_is_checked(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    hops = [make_sshd(), make_sshd(), make_sshd()]
    lines = ""
    for name, hop in zip(("one", "two"), hops[:2], strict=True):
        lines += (
            f"Host {name}\n  HostName 127.0.0.1\n  Port {hop.port}\n  User {hop.user}\n"
            f"  IdentityFile {hop.identity_file}\n  UserKnownHostsFile {hop.known_hosts}\n"
        )
    config = client_config(
        hops[2], tmp_path / "config", f"  ProxyJump one,two\n{lines}"
    )
    with Sandbox(through(config)) as sandbox:
        assert sandbox.run("echo jumped").stdout.text == "jumped\n"
    for hop in hops:
        assert hop.log.count("Accepted publickey") == 1
    hops[1].new_host_key()
    with Sandbox(through(config)) as sandbox, pytest.raises(HostKeyError):
        sandbox.run("true")


def test_an_unknown_host_key_is_refused_with_its_fingerprint_and_the_command(
    sshd: SshServer, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text("")
    config = sshd.config(known_hosts=str(tmp_path / "empty"))
    with Sandbox(config) as sandbox, pytest.raises(HostKeyError) as caught:
        sandbox.run("touch ~/impostor-was-here")
    assert "SHA256:" in caught.value.message
    assert "sandbox-ops trust" in caught.value.hint
    assert not (sshd.home / "impostor-was-here").exists()


def test_a_changed_host_key_is_refused_with_file_and_line(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    server.new_host_key()
    with Sandbox(server.config()) as sandbox, pytest.raises(HostKeyError) as caught:
        sandbox.run("touch ~/impostor-was-here")
    assert f"{server.known_hosts}:1" in caught.value.message
    assert not (server.home / "impostor-was-here").exists()


def test_lines_that_paramiko_cannot_read_do_not_lock_us_out(
    sshd: SshServer, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    good = sshd.known_hosts.read_text()
    key = good.split(maxsplit=1)[1]
    known.write_text(
        f"# a comment\n@cert-authority *.example.com {key}\nrubbish\n@revoked other {key}\n"
    )
    with known.open("a") as file:
        file.write(good)
    with Sandbox(sshd.config(known_hosts=str(known))) as sandbox:
        assert sandbox.run("true").ok


def test_a_refused_connection_says_so() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sandbox = Sandbox(SandboxConfig(name="t", host="127.0.0.1", port=port))
    with sandbox, pytest.raises(ConnectError, match=f":{port}: connection refused"):
        sandbox.run("true")


def test_a_server_that_never_answers_is_given_up_within_ten_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        port = frozen.getsockname()[1]
        started = time.monotonic()
        sandbox = Sandbox(SandboxConfig(name="t", host="127.0.0.1", port=port))
        with sandbox, pytest.raises(ConnectError, match="did not answer"):
            sandbox.run("true")
        assert time.monotonic() - started < 10


def test_the_patience_of_ssh_config_is_ours(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as frozen:
        port = frozen.getsockname()[1]
        config = SandboxConfig(
            name="t", host="127.0.0.1", port=port, ssh_config=str(tmp_path / "config")
        )
        (tmp_path / "config").write_text("Host 127.0.0.1\n  ConnectTimeout 1\n")
        started = time.monotonic()
        with Sandbox(config) as sandbox, pytest.raises(ConnectError):
            sandbox.run("true")
        assert time.monotonic() - started < 5


def test_a_key_that_is_not_accepted_is_named(sshd: SshServer, tmp_path: Path) -> None:
    shutil.copy(sshd.folder / "host_key", tmp_path / "wrong_key")
    config = sshd.config(identity_file=str(tmp_path / "wrong_key"))
    with Sandbox(config) as sandbox, pytest.raises(ConnectError) as caught:
        sandbox.run("true")
    assert "authentication failed" in caught.value.message
    assert str(tmp_path / "wrong_key") in caught.value.message


def test_an_encrypted_key_is_opened_by_the_askpass_program_or_named(
    sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = tmp_path / "locked"
    shutil.copy(sshd.identity_file, key)
    locked = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)]
    subprocess.run(locked, check=True)
    config = sshd.config(identity_file=str(key))
    with Sandbox(config) as sandbox, pytest.raises(ConnectError) as caught:
        sandbox.run("true")
    assert "is encrypted" in caught.value.message
    assert "ssh-add" in caught.value.hint
    program = tmp_path / "askpass"
    program.write_text("#!/bin/sh\necho open sesame\n")
    program.chmod(0o700)
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    with Sandbox(config) as sandbox:
        assert sandbox.run("true").ok


def test_a_proxy_command_that_fails_is_quoted_with_what_it_said(
    sshd: SshServer, tmp_path: Path
) -> None:
    config = client_config(
        sshd, tmp_path / "c", "  ProxyCommand sh -c 'echo no tunnel >&2; exit 3'"
    )
    with Sandbox(through(config)) as sandbox, pytest.raises(ConnectError) as caught:
        sandbox.run("true")
    assert "no tunnel" in caught.value.message
    assert "it exited 3" in caught.value.message


def test_a_host_that_could_be_an_option_is_refused() -> None:
    sandbox = Sandbox(SandboxConfig(name="t", host="-oProxyCommand=touch /tmp/x"))
    with sandbox, pytest.raises(ConfigError):
        sandbox.run("true")


def test_a_missing_identity_file_is_named(sshd: SshServer) -> None:
    sandbox = Sandbox(sshd.config(identity_file="/nowhere/key"))
    with sandbox, pytest.raises(ConfigError, match="/nowhere/key"):
        sandbox.run("true")


def test_the_next_command_reconnects(make_sshd: Callable[..., SshServer]) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
        server.restart()
        assert sandbox.run("echo back").stdout.text == "back\n"


def test_the_connection_is_fabric_s_for_tasks_of_one_s_own(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    connection = sandbox.connection
    assert isinstance(connection, Connection)
    result = connection.run("echo 'é'; exit 3", hide=True, warn=True)
    assert (result.stdout, result.exited) == ("é\n", 3)
    assert connection.run("kill -TERM $$", hide=True, warn=True).exited == 143
    (tmp_path / "sent").write_text("data")
    connection.put(str(tmp_path / "sent"), str(tmp_path / "there"))
    connection.get(str(tmp_path / "there"), str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "data"


def test_a_timeout_of_fabric_s_run_leaves_no_process(
    sandbox: Sandbox, sshd: SshServer
) -> None:
    from invoke.exceptions import CommandTimedOut

    with pytest.raises(CommandTimedOut):
        sandbox.connection.run("setsid sleep 7221 & sleep 7222", hide=True, timeout=1)
    assert [line for line in sshd.leftovers().values() if "sleep 722" in line] == []


def test_nothing_of_a_connection_stays_open(sshd: SshServer) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with Sandbox(sshd.config()) as sandbox:
        sandbox.run("true")
    before = descriptors()
    for _ in range(5):
        with Sandbox(sshd.config()) as sandbox:
            sandbox.run("true")
    assert descriptors() <= before


def test_a_link_that_can_be_read_but_not_written_is_reconnected(
    make_sshd: Callable[..., SshServer],
) -> None:
    """As for a moment when the other side has gone, and we have not heard of it."""
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
        sessions = server.session_pids()
        _signal(sessions, signal.SIGSTOP)
        assert sandbox.connection.transport
        sandbox.connection.transport.sock.shutdown(socket.SHUT_WR)
        call = sandbox.submit("echo back")
        with pytest.raises(TimeoutError):
            call.future.result(0.3)
        _signal(sessions, signal.SIGCONT)
        assert call.future.result(20).stdout.text == "back\n"


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        os.kill(pid, number)


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [("", "aes128-gcm@openssh.com"), ("Ciphers aes256-ctr", "aes256-ctr")],
)
def test_the_cipher_is_the_quickest_that_the_server_allows(
    make_sshd: Callable[..., SshServer], offered: str, chosen: str
) -> None:
    with Sandbox(make_sshd(extra=offered).config()) as sandbox:
        assert sandbox.run("echo secret").stdout.text == "secret\n"
        assert sandbox.connection.transport.remote_cipher == chosen


def test_a_session_that_ends_while_keys_are_exchanged_stalls_no_other(
    sandbox: Sandbox,
) -> None:
    assert sandbox.run("true").ok
    transport = sandbox.connection.transport
    transport.packetizer.REKEY_BYTES = 1 << 20  # it is 512 MB otherwise
    began = time.monotonic()
    for _ in range(20):  # all of it is on its way when the exchange begins
        with contextlib.closing(
            sandbox.connection.open_link("head -c 1500000 /dev/zero")
        ) as session:
            size = 0
            while piece := session.receive(20):
                size += len(piece)
            assert size == 1_500_000
            assert session.end() is LinkEnd.FINISHED
    assert time.monotonic() - began < 15
    assert sandbox.connection.transport is transport
