"""AddressFamily of ssh_config, and names that cannot be looked up."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from network import private_network
from sshd import SshServer

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.errors import ConnectError

Make = Callable[..., SshServer]


def config(server: SshServer, folder: Path, *lines: str) -> SandboxConfig:
    known = folder / "known_hosts"
    key = server.known_hosts.read_text().split(maxsplit=1)[1]
    known.write_text(f"[::1]:{server.port},[{server.host}]:{server.port} {key}")
    text = "".join(f"  {line}\n" for line in lines)
    path = folder / "config"
    path.write_text(
        f"Host target\n{text}  Port {server.port}\n  User {server.user}\n"
        f"  IdentityFile {server.identity_file}\n  UserKnownHostsFile {known}\n"
    )
    return SandboxConfig(name="t", host="target", ssh_config=str(path))


@pytest.mark.parametrize(
    ("family", "host"),
    [("inet6", "::1"), ("any", "::1"), ("inet", "127.0.0.1"), ("any", "127.0.0.1")],
)
def test_a_machine_is_reached_by_the_family_that_ssh_config_names(
    make_sshd: Make, tmp_path: Path, family: str, host: str
) -> None:
    server = make_sshd(extra="ListenAddress ::1")
    how = config(server, tmp_path, f"AddressFamily {family}", f"HostName {host}")
    with Sandbox(how) as sandbox:
        assert sandbox.run("echo $SSH_CONNECTION").stdout.text.split()[2] == host


@pytest.mark.parametrize(
    ("family", "host", "kind"),
    [("inet6", "127.0.0.1", "IPv6"), ("inet", "::1", "IPv4")],
)
def test_a_host_of_another_family_is_distinguished_from_an_unknown_name(
    sshd: SshServer, tmp_path: Path, family: str, host: str, kind: str
) -> None:
    how = config(sshd, tmp_path, f"AddressFamily {family}", f"HostName {host}")
    with Sandbox(how) as sandbox, pytest.raises(ConnectError) as caught:
        sandbox.run("true")
    assert f"{host} has no {kind} address" in caught.value.message
    assert f"AddressFamily {family}" in caught.value.hint


def test_a_name_that_no_dns_can_be_asked_for_names_the_network() -> None:
    """As where the VPN is down whose DNS knows the name."""
    with private_network():
        subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
        machine = Sandbox(SandboxConfig(name="t", host="gpu1.corp.example"))
        with machine, pytest.raises(ConnectError) as caught:
            machine.run("true")
    assert "cannot look up gpu1.corp.example" in caught.value.message
    assert "network" in caught.value.hint
