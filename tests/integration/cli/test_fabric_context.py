"""What a Fabric connection says of its machine is done, or refused by its name."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sshd_files
from command_line import cli
from fabric import Config, Connection
from sshd import SshServer

from sandbox_ops import Sandbox
from sandbox_ops.cli import fabric_context
from sandbox_ops.config import discover
from sandbox_ops.errors import ConfigError, ConnectError

Make = Callable[..., SshServer]


def client_config(
    path: Path, *servers: tuple[str, SshServer], keys: bool = True
) -> str:
    """Write an ssh_config of these servers, with or without their keys."""
    path.write_text(
        "".join(
            f"Host {name}\n  HostName {server.host}\n  Port {server.port}\n"
            f"  User {server.user}\n  UserKnownHostsFile {server.known_hosts}\n"
            "  IdentityAgent none\n"
            + (f"  IdentityFile {server.identity_file}\n" if keys else "")
            for name, server in servers
        )
    )
    return str(path)


def context(ssh_config: str, host: str, **options: object) -> Connection:
    return Connection(host, config=Config(runtime_ssh_path=ssh_config), **options)


def says(machine: Connection, folder: Path) -> str:
    """Run a command on the machine that our verbs would use."""
    settings = discover.settings(folder, {})
    with Sandbox(fabric_context.config_of(machine, settings)) as sandbox:
        return sandbox.run("echo $SSH_CONNECTION").stdout.text


@pytest.mark.parametrize("several", [False, True])
def test_the_keys_of_connect_kwargs_are_the_ones_that_are_offered(
    sshd: SshServer, tmp_path: Path, several: bool
) -> None:
    file = client_config(tmp_path / "config", ("target", sshd), keys=False)
    with pytest.raises(ConnectError, match="tried no key"):
        says(context(file, "target"), tmp_path)
    sshd_files.keygen(tmp_path / "other")
    keys = [str(tmp_path / "other"), str(sshd.identity_file)]
    key_filename = keys if several else keys[1]
    kwargs = {"key_filename": key_filename}
    assert says(context(file, "target", connect_kwargs=kwargs), tmp_path)


def test_the_keys_of_ssh_config_are_not_taken_for_ones_that_were_given(
    sshd: SshServer, tmp_path: Path
) -> None:
    file = client_config(tmp_path / "config", ("target", sshd))
    machine = context(file, "target")
    assert machine.connect_kwargs["key_filename"] == [str(sshd.identity_file)]
    result = fabric_context.config_of(machine, discover.settings(tmp_path, {}))
    assert (result.identity_file, result.ssh_options) == (None, ())
    assert says(machine, tmp_path)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"password": "secret"},
        {"pkey": object()},
        {"passphrase": "secret"},
        {"look_for_keys": False},
        {"disabled_algorithms": {"kex": ["x"]}},
    ],
)
def test_an_argument_of_paramiko_that_we_cannot_carry_out_is_refused_by_its_name(
    sshd: SshServer, tmp_path: Path, kwargs: dict[str, object]
) -> None:
    file = client_config(tmp_path / "config", ("target", sshd))
    with pytest.raises(ConfigError) as caught:
        says(context(file, "target", connect_kwargs=kwargs), tmp_path)
    assert repr(next(iter(kwargs))) in caught.value.message
    assert "secret" not in str(caught.value)


def test_a_gateway_is_jumped_from(make_sshd: Make, tmp_path: Path) -> None:
    first, inner = make_sshd(), make_sshd()
    file = client_config(tmp_path / "config", ("first", first), ("inner", inner))
    gateway = context(file, "first")
    assert says(context(file, "inner", gateway=gateway), tmp_path)
    assert first.log.count("Accepted publickey") == 1


def test_a_gateway_that_is_a_command_is_run(sshd: SshServer, tmp_path: Path) -> None:
    used = tmp_path / "used"
    file = client_config(tmp_path / "config", ("target", sshd))
    command = f"sh -c 'echo %h %p >>{used}; exec nc %h %p'"
    assert says(context(file, "target", gateway=command), tmp_path)
    assert used.read_text() == f"{sshd.host} {sshd.port}\n"


def test_no_gateway_switches_that_of_ssh_config_off(
    sshd: SshServer, tmp_path: Path
) -> None:
    file = client_config(tmp_path / "config", ("target", sshd))
    with Path(file).open("a") as config:
        config.write("  ProxyCommand exit 3\n")
    with pytest.raises(ConnectError):
        says(context(file, "target"), tmp_path)
    assert says(context(file, "target", gateway=False), tmp_path)


def test_a_gateway_of_ssh_config_is_ssh_config_s_business(
    make_sshd: Make, tmp_path: Path
) -> None:
    first, inner = make_sshd(), make_sshd()
    file = client_config(tmp_path / "config", ("first", first), ("inner", inner))
    with Path(file).open("a") as config:
        config.write("  ProxyJump first\n")
    machine = context(file, "inner")
    assert machine.gateway is not None
    result = fabric_context.config_of(machine, discover.settings(tmp_path, {}))
    assert result.ssh_options == ()
    assert says(machine, tmp_path)


def test_a_gateway_s_own_key_is_refused_by_its_name(
    sshd: SshServer, tmp_path: Path
) -> None:
    file = client_config(tmp_path / "config", ("target", sshd), ("first", sshd))
    kwargs = {"key_filename": str(tmp_path / "key")}
    gateway = context(file, "first", connect_kwargs=kwargs)
    with pytest.raises(ConfigError, match="key_filename"):
        says(context(file, "target", gateway=gateway), tmp_path)


def test_timeout_and_agent_forwarding_are_taken_over(
    sshd: SshServer, tmp_path: Path
) -> None:
    file = client_config(tmp_path / "config", ("target", sshd))
    machine = context(file, "target", connect_timeout=4, forward_agent=True)
    result = fabric_context.config_of(machine, discover.settings(tmp_path, {}))
    assert result.ssh_options == ("ConnectTimeout=4", "ForwardAgent=yes")


def test_fab_with_a_key_uses_that_key(sshd: SshServer, tmp_path: Path) -> None:
    file = client_config(tmp_path / "config", ("target", sshd), keys=False)
    (tmp_path / "fabfile.py").write_text(
        "from invoke import Collection\n"
        "from sandbox_ops import tasks\n"
        "ns = Collection()\n"
        "ns.add_collection(Collection.from_module(tasks, name='gpu'))\n"
    )
    fab = str(Path(sys.executable).with_name("fab"))
    text = ("-S", file, "-H", "target", "-i", str(sshd.identity_file))
    done = cli(*text, "gpu.run", "--command", "echo in", cwd=tmp_path, program=fab)
    assert (done.stdout, done.returncode) == ("in\n", 0), done.stderr
    without = (*text[:4], "gpu.run", "--command", "echo in")
    assert cli(*without, cwd=tmp_path, program=fab).returncode == 255


def test_a_forwarded_port_listens_when_the_with_begins(sshd: SshServer) -> None:
    import socket
    import threading

    with (
        socket.create_server(("127.0.0.1", 0)) as there,
        Sandbox(sshd.config()) as sandbox,
    ):

        def answer() -> None:
            for _ in range(20):
                link, _ = there.accept()
                with link:
                    link.sendall(link.recv(10).upper())

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        for _ in range(20):
            port = sshd_files.free_port()
            remote = there.getsockname()[1]
            with (
                sandbox.connection.forward_local(port, remote_port=remote),
                socket.create_connection(("localhost", port), 5) as link,
            ):
                link.sendall(b"at once")
                assert link.recv(10) == b"AT ONCE"
        thread.join(5)


def test_a_local_port_that_is_taken_is_refused_at_once(sandbox: Sandbox) -> None:
    import socket

    from sandbox_ops.errors import RefusedError

    with socket.create_server(("localhost", 0)) as taken:
        port = taken.getsockname()[1]
        forward = sandbox.connection.forward_local(port, remote_port=1)
        with pytest.raises(RefusedError, match=f"localhost:{port}"):
            forward.__enter__()
