"""`trust`: a look, a comparison, a line; for jump hosts too; nothing that was not proven."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sshd_files
from cable import cable
from command_line import cli
from sshd import SshServer

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.errors import HostKeyError, RefusedError
from sandbox_ops.machine import trust
from sandbox_ops.machine.trust import ShownKey, TrustReport
from sandbox_ops.ssh.host_key_check import Trust
from sandbox_ops.ssh.openssh_master import end_all

Make = Callable[..., SshServer]


def yes(shown: ShownKey) -> None:
    """Agree to whatever is shown."""


def never(shown: ShownKey) -> None:
    raise RefusedError(f"nobody was to be asked about {shown.machine}")


@pytest.fixture
def many_keys(make_sshd: Make, tmp_path: Path) -> SshServer:
    """A machine with a key of each type."""
    for kind in ("rsa", "ecdsa"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", tmp_path / kind],
            check=True,
        )
    return make_sshd(extra=f"HostKey {tmp_path}/rsa\nHostKey {tmp_path}/ecdsa")


def fingerprints(folder: Path, *names: str) -> list[str]:
    return [
        subprocess.run(
            ["ssh-keygen", "-lf", folder / f"{name}.pub"],
            capture_output=True, text=True, check=True,
        ).stdout.split()[1]
        for name in names
    ]  # fmt: skip


def test_trusting_a_key_is_a_look_a_comparison_and_one_line(
    sshd: SshServer, tmp_path: Path
) -> None:
    known = tmp_path / "new" / "known_hosts"
    config = sshd.config(known_hosts=str(known))
    with Sandbox(config) as sandbox:
        with pytest.raises(HostKeyError, match="Nothing was added"):
            trust.trust(sandbox, yes, fingerprint="SHA256:somebody-else")
        with pytest.raises(RefusedError):
            trust.trust(sandbox, never)
        assert not known.exists()
        (fingerprint,) = fingerprints(sshd.folder, "host_key")
        report = trust.trust(sandbox, never, fingerprint=fingerprint)
        assert report.added == (fingerprint,)
        assert sandbox.run("true").ok
        assert trust.trust(sandbox, never).added == ()
    assert known.read_text().count("\n") == 1


def test_a_changed_key_cannot_be_trusted_by_adding_a_line(make_sshd: Make) -> None:
    server = make_sshd()
    server.new_host_key()
    before = server.known_hosts.read_text()
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(HostKeyError, match="changed"),
    ):
        trust.trust(sandbox, yes)
    assert server.known_hosts.read_text() == before


def test_other_keys_are_added_where_the_confirmed_connection_proves_them(
    many_keys: SshServer, tmp_path: Path
) -> None:
    known = tmp_path / "known"
    with Sandbox(many_keys.config(known_hosts=str(known))) as sandbox:
        report = trust.trust(sandbox, yes)
    ed25519, rsa, ecdsa = [
        *fingerprints(many_keys.folder, "host_key"),
        *fingerprints(tmp_path, "rsa", "ecdsa"),
    ]
    assert report.added[0] == ed25519
    assert set(report.added) == {ed25519, rsa, ecdsa}
    assert len(known.read_text().splitlines()) == 3


def test_a_fingerprint_of_any_of_its_keys_will_do(
    many_keys: SshServer, tmp_path: Path
) -> None:
    (rsa,) = fingerprints(tmp_path, "rsa")
    known = tmp_path / "known"
    with Sandbox(many_keys.config(known_hosts=str(known))) as sandbox:
        assert trust.trust(sandbox, never, fingerprint=rsa).added[0] == rsa
        assert sandbox.run("true").ok


@pytest.fixture
def impostor(
    many_keys: SshServer, make_sshd: Make, tmp_path: Path
) -> Iterator[tuple[SandboxConfig, Callable[[], int]]]:
    """A man in the middle: every connection but the first goes to his own machine.

    He takes every key of the user's, and shows an ECDSA and an RSA key of his own.
    """
    for kind in ("rsa", "ecdsa"):
        key = tmp_path / f"his_{kind}"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", key], check=True
        )
    his = make_sshd(
        extra=f"HostKey {tmp_path}/his_rsa\nHostKey {tmp_path}/his_ecdsa\n"
        f"AuthorizedKeysFile {many_keys.folder}/user_key.pub"
    )
    with cable(many_keys.host, many_keys.port) as laid:
        stop = threading.Event()

        def turn() -> None:
            while not stop.wait(0.001):
                if laid.links:
                    laid.target = (his.host, his.port)
                    return

        thread = threading.Thread(target=turn, daemon=True)
        thread.start()
        known = tmp_path / "known"
        yield (
            many_keys.config(port=laid.port, known_hosts=str(known)),
            lambda: laid.links,
        )
        stop.set()
        thread.join(5)


def test_a_right_fingerprint_adds_no_key_of_a_man_in_the_middle(
    impostor: tuple[SandboxConfig, Callable[[], int]],
    many_keys: SshServer,
    tmp_path: Path,
) -> None:
    config, _ = impostor
    (fingerprint,) = fingerprints(many_keys.folder, "host_key")
    with Sandbox(config) as sandbox, pytest.raises(HostKeyError, match="changed"):
        trust.trust(sandbox, never, fingerprint=fingerprint)
    lines = (tmp_path / "known").read_text().splitlines()
    assert [line.split()[1] for line in lines] == ["ssh-ed25519"]


def ssh_config(path: Path, *hosts: tuple[str, SshServer, str]) -> SandboxConfig:
    """Write an ssh_config of these hosts; reach the last of them."""
    text = ""
    for name, server, lines in hosts:
        text += (
            f"Host {name}\n  HostName {server.host}\n  Port {server.port}\n"
            f"  User {server.user}\n  IdentityFile {server.identity_file}\n"
            f"  GlobalKnownHostsFile /dev/null\n{lines}\n"
        )
    path.write_text(text)
    return SandboxConfig(name="gpu1", host=hosts[-1][0], ssh_config=str(path))


@pytest.mark.parametrize("file", ["/dev/null", "none"])
def test_a_machine_whose_known_hosts_keep_nothing_is_trusted_in_a_file_of_ours(
    make_sshd: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    server = make_sshd()
    lines = f"  UserKnownHostsFile {file}\n  StrictHostKeyChecking no"  # as SkyPilot's
    config = ssh_config(tmp_path / "config", ("sky", server, lines))
    own = tmp_path / "xdg" / "sandbox-ops" / "known_hosts"
    with Sandbox(config) as sandbox:
        with pytest.raises(HostKeyError) as caught:
            sandbox.run("true")
        assert "sandbox-ops trust --sandbox gpu1" in caught.value.hint
        report = trust.trust(sandbox, yes)
        assert report.file == str(own)
        assert sandbox.run("true").ok
    server.new_host_key()
    with Sandbox(config) as sandbox, pytest.raises(HostKeyError) as caught:
        sandbox.run("true")
    assert f"ssh-keygen -R '[127.0.0.1]:{server.port}' -f {own}" in caught.value.hint


def test_our_own_file_counts_for_no_machine_that_has_one_of_its_own(
    make_sshd: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    server = make_sshd()
    own = tmp_path / "xdg" / "sandbox-ops" / "known_hosts"
    own.parent.mkdir(parents=True)
    own.write_text(server.known_hosts.read_text())
    (tmp_path / "empty").write_text("")
    lines = f"  UserKnownHostsFile {tmp_path}/empty"
    config = ssh_config(tmp_path / "config", ("plain", server, lines))
    with Sandbox(config) as sandbox, pytest.raises(HostKeyError):
        sandbox.run("true")


@pytest.fixture
def chain(make_sshd: Make, tmp_path: Path) -> tuple[SandboxConfig, list[SshServer]]:
    """A machine behind two jump hosts; no key of the three is known."""
    servers = [make_sshd() for _ in range(3)]
    known = f"  UserKnownHostsFile {tmp_path}/known"
    config = ssh_config(
        tmp_path / "config",
        ("one", servers[0], known),
        ("two", servers[1], known),
        ("inner", servers[2], f"{known}\n  ProxyJump one,two"),
    )
    return config, servers


def test_every_jump_host_is_trusted_on_the_way(
    chain: tuple[SandboxConfig, list[SshServer]],
) -> None:
    config, servers = chain
    asked: list[str] = []
    with Sandbox(config) as sandbox:
        with pytest.raises(HostKeyError, match="the jump host one is not known"):
            sandbox.run("true")
        report = trust.trust(sandbox, lambda shown: asked.append(shown.machine))
        assert sandbox.run("echo in").stdout.text == "in\n"
    assert asked == ["the jump host one", "the jump host two", "inner"]
    assert [hop.host for hop in report.jump_hosts] == ["one", "two"]
    keys = [
        key for server in servers for key in fingerprints(server.folder, "host_key")
    ]
    added = [fingerprint for hop in report.jump_hosts for fingerprint in hop.added]
    assert [*added, *report.added] == keys


def test_the_command_line_trusts_a_chain_a_fingerprint_at_a_time(
    chain: tuple[SandboxConfig, list[SshServer]], tmp_path: Path
) -> None:
    config, servers = chain
    env = {
        "SANDBOX_OPS_HOST": config.host,
        "SANDBOX_OPS_SSH_CONFIG": str(config.ssh_config),
    }

    def step(*words: str) -> str:
        done = cli(*words, cwd=tmp_path, env=env)
        assert "Traceback" not in done.stderr
        return done.stderr

    output = step("run", "--", "true")
    for server in servers:
        assert "sandbox-ops trust --sandbox default" in output
        shown = step("trust")
        (fingerprint,) = fingerprints(server.folder, "host_key")
        assert f"--fingerprint {fingerprint}" in shown
        output = step("trust", "--fingerprint", fingerprint)
    assert output == ""
    assert cli("run", "--", "echo", "in", cwd=tmp_path, env=env).stdout == "in\n"


def test_a_key_that_is_trusted_elsewhere_counts_for_the_next_command(
    sshd: SshServer, tmp_path: Path
) -> None:
    """As for a server of an agent that runs while its user runs `trust`."""
    known = tmp_path / "known"
    known.write_text("")
    with Sandbox(sshd.config(known_hosts=str(known))) as sandbox:
        with pytest.raises(HostKeyError):
            sandbox.run("true")
        known.write_text(sshd.known_hosts.read_text())
        assert sandbox.run("true").ok


def test_a_machine_that_accepts_nobody_yet_is_trusted_by_the_confirmed_key_alone(
    many_keys: SshServer, tmp_path: Path
) -> None:
    sshd_files.keygen(tmp_path / "stranger")
    config = many_keys.config(
        known_hosts=str(tmp_path / "known"), identity_file=str(tmp_path / "stranger")
    )
    with Sandbox(config) as sandbox:
        report: TrustReport = trust.trust(sandbox, yes)
    assert report.added == tuple(fingerprints(many_keys.folder, "host_key"))
    assert report.keys[0].trust is Trust.UNKNOWN


def test_the_key_of_a_machine_that_is_reached_by_openssh_is_trusted_and_then_used(
    sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    config = sshd.config(link="openssh", known_hosts=str(tmp_path / "known_hosts"))
    with Sandbox(config) as sandbox:
        with pytest.raises(HostKeyError, match="sandbox-ops trust"):
            sandbox.run("true")
        report = trust.trust(sandbox, yes)
        assert len(report.added) == 1
        assert sandbox.run("echo trusted").stdout.text == "trusted\n"
    assert end_all(config)
