"""Keys that were rotated, agents that are locked or frozen, networks that are down.

Each is named for what it is, wherever in a session it comes.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sshd_files
from network import nft, private_network
from processes import Child
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import CommandResult, EndKind, Sandbox, SandboxConfig
from sandbox_ops.errors import AuthenticationError, ConnectError, HostKeyError
from sandbox_ops.text import formatting

Make = Callable[..., SshServer]


@dataclass(frozen=True)
class Agent:
    """A real ssh-agent, and the key that it holds."""

    socket: Path
    pid: int

    def do(self, *arguments: str | Path, typed: str = "") -> None:
        """Run ssh-add; `typed` answers what it asks for."""
        env = {**os.environ, "SSH_AUTH_SOCK": str(self.socket)}
        if typed:
            answer = self.socket.parent / "answer"
            answer.write_text(f"#!/bin/sh\necho {typed}\n")
            answer.chmod(0o700)
            env |= {"SSH_ASKPASS": str(answer), "SSH_ASKPASS_REQUIRE": "force"}
        subprocess.run(
            ["ssh-add", "-q", *arguments], env=env, check=True, stdin=subprocess.DEVNULL
        )


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    where = tmp_path / "agent.sock"
    command = ["ssh-agent", "-D", "-a", str(where)]
    with Child(command, stdout=subprocess.DEVNULL) as process:
        wait_until(where.exists)
        yield Agent(where, process.pid)
        os.kill(process.pid, signal.SIGCONT)
        process.terminate()


def by_agent(
    server: SshServer, folder: Path, agent: Agent, *lines: str
) -> SandboxConfig:
    """Write an ssh_config that has the agent's keys, and what the lines say, alone."""
    text = "".join(f"  {line}\n" for line in (*lines, f"IdentityAgent {agent.socket}"))
    path = folder / "client_config"
    path.write_text(
        f"Host target\n{text}  HostName {server.host}\n  Port {server.port}\n"
        f"  User {server.user}\n  UserKnownHostsFile {server.known_hosts}\n"
    )
    return SandboxConfig(name="t", host="target", ssh_config=str(path))


def refused(how: SandboxConfig) -> str:
    with Sandbox(how) as sandbox, pytest.raises(AuthenticationError) as caught:
        sandbox.run("true")
    return str(caught.value)


def test_a_locked_agent_is_named_and_how_to_unlock_it(
    make_sshd: Make, tmp_path: Path, agent: Agent
) -> None:
    server = make_sshd()
    agent.do(server.identity_file)
    agent.do("-x", typed="secret")
    output = refused(by_agent(server, tmp_path, agent))
    assert f"the agent at {agent.socket} shows no key" in output
    assert "ssh-add -X" in output


def test_a_key_that_others_can_read_is_refused_with_the_command_that_closes_it(
    sshd: SshServer, tmp_path: Path
) -> None:
    key = tmp_path / "my key"
    key.write_bytes(sshd.identity_file.read_bytes())
    key.chmod(0o644)
    client = tmp_path / "client_config"
    client.write_text(
        f'Host target\n  HostName {sshd.host}\n  Port {sshd.port}\n  IdentityFile "{key}"\n'
        f"  IdentitiesOnly yes\n  User {sshd.user}\n  UserKnownHostsFile {sshd.known_hosts}\n"
    )
    how = SandboxConfig(name="t", host="target", ssh_config=str(client))
    output = refused(how)
    assert "others can read it (its mode is 0644)" in output
    assert output.splitlines()[-1] == f"Close it to others: chmod 600 '{key}'"
    key.chmod(0o600)
    with Sandbox(how) as sandbox:
        assert sandbox.run("true").ok


@pytest.mark.slow
def test_an_agent_that_is_locked_in_mid_session_is_named_when_it_is_needed_again(
    make_sshd: Make, tmp_path: Path, agent: Agent
) -> None:
    server = make_sshd()
    agent.do(server.identity_file)
    with Sandbox(by_agent(server, tmp_path, agent)) as sandbox:
        assert sandbox.run("true").ok
        agent.do("-x", typed="secret")
        assert sandbox.run("true").ok  # the connection lives
        server.restart()
        with pytest.raises(ConnectError) as caught:
            sandbox.run("true")
        assert "ssh-add -X" in str(caught.value)
        agent.do("-X", typed="secret")
        assert sandbox.run("true").ok


def test_a_frozen_agent_is_named_and_leaves_time_for_the_key_files(
    make_sshd: Make, tmp_path: Path, agent: Agent
) -> None:
    server = make_sshd()
    os.kill(agent.pid, signal.SIGSTOP)
    started = time.monotonic()
    output = refused(by_agent(server, tmp_path, agent))
    assert time.monotonic() - started < 9
    assert f"the agent at {agent.socket} did not answer: is it frozen?" in output
    line = f"IdentityFile {server.identity_file}"
    with Sandbox(by_agent(server, tmp_path, agent, line)) as sandbox:
        assert sandbox.run("true").ok


def test_an_agent_that_will_not_sign_costs_none_of_the_other_keys(
    make_sshd: Make, tmp_path: Path, agent: Agent
) -> None:
    """As one that asks for each use (`ssh-add -c`), where nobody says yes."""
    server = make_sshd()
    sshd_files.keygen(tmp_path / "asked")
    both = server.folder / "user_key.pub"
    both.write_text(both.read_text() + (tmp_path / "asked.pub").read_text())
    agent.do("-c", tmp_path / "asked")
    (tmp_path / "asked").unlink()
    line = f"IdentityFile {server.identity_file}"
    with Sandbox(by_agent(server, tmp_path, agent, line)) as sandbox:
        assert sandbox.run("true").ok
    assert "would not sign" in refused(by_agent(server, tmp_path, agent))


def in_mid_command(sandbox: Sandbox, fault: Callable[[], None]) -> CommandResult:
    call = sandbox.submit("sleep 30")
    wait_until(lambda: call.job_id)
    fault()
    result = call.future.result(40)
    assert result.end is EndKind.CONNECTION_LOST
    assert result.job.id in "\n".join(formatting.end_lines(result))
    return result


def test_a_host_key_that_is_rotated_in_mid_command_is_named(make_sshd: Make) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
        result = in_mid_command(sandbox, server.new_host_key)
        (line, _) = formatting.end_lines(result)
        assert "the host key of 127.0.0.1 changed" in line
        assert f"{server.known_hosts}:1" in line
        with pytest.raises(HostKeyError, match="changed"):
            sandbox.run("true")


@pytest.mark.slow
def test_a_key_that_is_rotated_in_mid_command_is_named_and_the_way_out(
    make_sshd: Make,
) -> None:
    server = make_sshd()

    def rotate() -> None:
        shutil.copy(server.folder / "host_key.pub", server.folder / "user_key.pub")
        server.restart()

    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
        result = in_mid_command(sandbox, rotate)
        (line, _) = formatting.end_lines(result)
        assert "authentication failed" in line
        assert str(server.identity_file) in line


@pytest.fixture
def network() -> Iterator[None]:
    with private_network():
        yield


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_network_that_carries_no_large_packet_is_not_called_a_frozen_machine(
    make_sshd: Make,
) -> None:
    """As behind a VPN whose link has a smaller MTU, or one that went down by now."""
    server = make_sshd()
    nft(
        f"""table inet fault {{
  chain lost {{
    type filter hook input priority 0
    tcp dport {server.port} meta length > 400 drop
  }}
}}
"""
    )
    with Sandbox(server.config()) as sandbox, pytest.raises(ConnectError) as caught:
        sandbox.run("true")
    assert "the network to" in caught.value.message
    assert "VPN" in caught.value.hint
    assert "frozen" not in str(caught.value)


@pytest.mark.usefixtures("network")
def test_a_machine_that_is_frozen_is_distinguished_from_a_network_that_is_down(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    os.kill(server.listener_pid, signal.SIGSTOP)
    try:
        with Sandbox(server.config()) as sandbox, pytest.raises(ConnectError) as caught:
            sandbox.run("true")
    finally:
        os.kill(server.listener_pid, signal.SIGCONT)
    assert "accepted the connection, then did not answer" in caught.value.message
    assert "its kernel still takes what we send" in caught.value.hint


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_network_that_goes_down_in_mid_command_is_named_with_the_vpn(
    make_sshd: Make,
) -> None:
    server = make_sshd()

    def unplug() -> None:
        nft(
            f"""table inet fault {{
  chain lost {{
    type filter hook input priority 0
    tcp dport {server.port} drop
    tcp sport {server.port} drop
  }}
}}
"""
        )

    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
        result = in_mid_command(sandbox, unplug)
        (line, _) = formatting.end_lines(result)
        assert "no answer" in line
        with pytest.raises(ConnectError) as caught:
            sandbox.run("true")
        assert "VPN" in caught.value.hint
        assert "frozen" not in str(caught.value)
