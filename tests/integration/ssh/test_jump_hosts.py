"""Machines behind one jump host share one connection to it; real sshd on both sides."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import EndKind, Sandbox, SandboxConfig
from sandbox_ops.errors import HostKeyError

Make = Callable[..., SshServer]


def entry(name: str, server: SshServer, *lines: str) -> str:
    own = "".join(f"  {line}\n" for line in lines)
    return server.ssh_config.read_text().replace("Host box\n", f"Host {name}\n{own}")


def behind(folder: Path, jump: SshServer, *servers: SshServer) -> list[SandboxConfig]:
    """Describe machines that are reached through a jump host."""
    file = folder / "ssh_config"
    entries = [entry("jump", jump)]
    names = [f"m{n}" for n in range(len(servers))]
    for name, server in zip(names, servers, strict=True):
        entries.append(entry(name, server, "ProxyJump jump"))
    file.write_text("\n".join(entries))
    return [
        SandboxConfig(
            name=name, host=name, ssh_config=str(file), workspace=str(server.home)
        )
        for name, server in zip(names, servers, strict=True)
    ]


def logins(server: SshServer) -> int:
    return server.log.count("Accepted publickey")


def test_machines_behind_one_jump_host_share_one_connection_to_it(
    make_sshd: Make, tmp_path: Path
) -> None:
    jump, *servers = (make_sshd() for _ in range(4))
    with ExitStack() as ends, ThreadPoolExecutor(3) as pool:
        sandboxes = [
            ends.enter_context(Sandbox(config))
            for config in behind(tmp_path, jump, *servers)
        ]
        answers = list(pool.map(lambda s: s.run("echo $HOME").stdout.text, sandboxes))
        assert answers == [f"{server.home}\n" for server in servers]
        assert logins(jump) == 1
        assert [logins(server) for server in servers] == [1, 1, 1]
        sandboxes[0].close()
        assert sandboxes[1].run("echo still").stdout.text == "still\n"
        assert jump.session_pids()
    wait_until(lambda: not jump.session_pids(), what="the end of the jump connection")


def test_a_lost_jump_connection_is_opened_again_once_for_all(
    make_sshd: Make, tmp_path: Path
) -> None:
    jump, *servers = (make_sshd() for _ in range(4))
    with ExitStack() as ends:
        sandboxes = [
            ends.enter_context(Sandbox(config))
            for config in behind(tmp_path, jump, *servers)
        ]
        calls = [sandbox.submit("sleep 2; echo end") for sandbox in sandboxes]
        wait_until(lambda: all(call.job_id for call in calls), 20)
        for pid in jump.session_pids():
            os.kill(pid, signal.SIGKILL)
        results = [call.future.result(40) for call in calls]
        assert [(r.end, r.stdout.text) for r in results] == [
            (EndKind.EXITED, "end\n")
        ] * 3
        assert logins(jump) == 2


def test_a_jump_host_whose_host_key_changed_is_refused_to_each_in_its_own_name(
    make_sshd: Make, tmp_path: Path
) -> None:
    jump, *servers = (make_sshd() for _ in range(3))
    configs = behind(tmp_path, jump, *servers)
    jump.new_host_key()
    with ExitStack() as ends, ThreadPoolExecutor(2) as pool:
        sandboxes = [ends.enter_context(Sandbox(config)) for config in configs]
        calls = [pool.submit(sandbox.run, "true") for sandbox in sandboxes]
        for call in calls:
            with pytest.raises(HostKeyError, match="jump host jump"):
                call.result(30)
    assert logins(jump) == 0


def test_a_connection_is_not_shared_once_the_known_hosts_file_says_otherwise(
    make_sshd: Make, tmp_path: Path
) -> None:
    jump, *servers = (make_sshd() for _ in range(3))
    first, second = behind(tmp_path, jump, *servers)
    with Sandbox(first) as sandbox, Sandbox(second) as other:
        assert sandbox.run("true").ok
        jump.known_hosts.write_text("")
        with pytest.raises(HostKeyError, match="jump host jump"):
            other.run("true")


def test_a_jump_host_that_is_reached_otherwise_has_a_connection_of_its_own(
    make_sshd: Make, tmp_path: Path
) -> None:
    jump, *servers = (make_sshd() for _ in range(3))
    first, second = behind(tmp_path, jump, *servers)
    other_file = tmp_path / "other"
    other_file.write_text(
        "Host jump\n  Compression yes\n" + Path(str(first.ssh_config)).read_text()
    )
    second = SandboxConfig(
        name="m1", host="m1", ssh_config=str(other_file), workspace=second.workspace
    )
    with Sandbox(first) as sandbox, Sandbox(second) as other:
        assert sandbox.run("true").ok
        assert other.run("true").ok
        assert logins(jump) == 2
