"""The directives of ssh_config about keys and algorithms hold, or the name is said."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cable import cable
from sshd import SshServer

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.errors import ConfigError, ConnectError, HostKeyError

Make = Callable[..., SshServer]


def keygen(*arguments: object) -> None:
    subprocess.run(["ssh-keygen", "-q", *map(str, arguments)], check=True)


def config(server: SshServer, folder: Path, *lines: str) -> SandboxConfig:
    """Write an ssh_config that reaches the server as `target`, with more lines."""
    text = "".join(f"  {line}\n" for line in lines)
    path = folder / "client_config"
    path.write_text(
        f"Host target\n{text}  HostName {server.host}\n  Port {server.port}\n"
        f"  User {server.user}\n  IdentityFile {server.identity_file}\n"
        f"  UserKnownHostsFile {server.known_hosts}\n  GlobalKnownHostsFile none\n"
    )
    return SandboxConfig(name="t", host="target", ssh_config=str(path))


def ssh_connects(how: SandboxConfig) -> bool:
    command = ["ssh", "-F", str(how.ssh_config), "-oBatchMode=yes", "target", "true"]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20
    )
    return done.returncode == 0


def revoked_file(kind: str, server: SshServer, folder: Path) -> Path:
    key, file = server.folder / "host_key.pub", folder / "revoked"
    if kind == "KRL":
        keygen("-k", "-f", file, key)
    elif kind == "text":
        file.write_text(f"# stolen\n{key.read_text()}")
    elif kind == "another key's":
        keygen("-t", "ed25519", "-N", "", "-f", folder / "other")
        file.write_text((folder / "other.pub").read_text())
    elif kind == "another key's KRL":
        keygen("-t", "ed25519", "-N", "", "-f", folder / "other")
        keygen("-k", "-f", file, folder / "other.pub")
    return file


@pytest.mark.parametrize(
    ("kind", "good"),
    [
        ("text", False),
        ("KRL", False),
        ("missing", False),
        ("another key's", True),
        ("another key's KRL", True),
    ],
)
def test_a_key_of_revoked_host_keys_is_refused_as_ssh_refuses_it(
    make_sshd: Make, tmp_path: Path, kind: str, good: bool
) -> None:
    server = make_sshd()
    file = revoked_file(kind, server, tmp_path)
    how = config(server, tmp_path, f"RevokedHostKeys {file}")
    assert ssh_connects(how) is good
    with Sandbox(how) as sandbox:
        if good:
            assert sandbox.run("true").ok
            return
        with pytest.raises(HostKeyError, match="RevokedHostKeys") as caught:
            sandbox.run("touch ~/was-run")
    assert str(file) in caught.value.message
    assert not (server.home / "was-run").exists()


def test_a_revoked_authority_s_certificate_is_refused(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd(extra=f"HostCertificate {tmp_path}/host_key-cert.pub")
    keygen("-t", "ed25519", "-N", "", "-f", tmp_path / "ca")
    public = tmp_path / "host_key.pub"
    public.write_text((server.folder / "host_key.pub").read_text())
    keygen("-s", tmp_path / "ca", "-I", "t", "-h", "-n", server.host, public)
    server.restart()
    server.known_hosts.write_text(
        f"@cert-authority * {(tmp_path / 'ca.pub').read_text()}"
    )
    assert ssh_connects(config(server, tmp_path))
    with Sandbox(config(server, tmp_path)) as sandbox:
        assert sandbox.run("true").ok
    how = config(server, tmp_path, f"RevokedHostKeys {tmp_path}/ca.pub")
    assert not ssh_connects(how)
    with Sandbox(how) as sandbox, pytest.raises(HostKeyError, match="RevokedHostKeys"):
        sandbox.run("true")


@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        ("Ciphers aes256-ctr,aes128-gcm@openssh.com", "aes256-ctr"),
        ("Ciphers aes192-ctr", "aes192-ctr"),
        ("Ciphers chacha20-poly1305@openssh.com,aes256-ctr", "aes256-ctr"),
        ("Ciphers +aes128-cbc", "aes128-gcm@openssh.com"),
    ],
)
def test_the_ciphers_of_ssh_config_are_carried_out(
    sshd: SshServer, tmp_path: Path, lines: str, chosen: str
) -> None:
    with Sandbox(config(sshd, tmp_path, lines)) as sandbox:
        assert sandbox.run("true").ok
        assert sandbox.connection.transport.remote_cipher == chosen


def test_macs_and_kex_of_ssh_config_are_carried_out(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd(extra="LogLevel DEBUG1")
    how = config(
        server, tmp_path, "Ciphers aes128-ctr", "MACs hmac-sha2-512",
        "KexAlgorithms diffie-hellman-group14-sha256",
    )  # fmt: skip
    with Sandbox(how) as sandbox:
        assert sandbox.run("true").ok
        assert sandbox.connection.transport.remote_mac == "hmac-sha2-512"
    assert "kex: algorithm: diffie-hellman-group14-sha256" in server.log


@pytest.mark.parametrize(
    "line",
    [
        "Ciphers chacha20-poly1305@openssh.com",
        "Ciphers aes128-cbc,3des-cbc",
        "MACs umac-64@openssh.com",
        "KexAlgorithms sntrup761x25519-sha512@openssh.com",
        "HostKeyAlgorithms sk-ssh-ed25519@openssh.com",
        "PubkeyAcceptedAlgorithms sk-ssh-ed25519@openssh.com",
    ],
)
def test_a_directive_that_leaves_nothing_is_refused_by_its_name(
    sshd: SshServer, tmp_path: Path, line: str
) -> None:
    directive, names = line.split()
    with (
        Sandbox(config(sshd, tmp_path, line)) as sandbox,
        pytest.raises(ConfigError) as caught,
    ):
        sandbox.run("true")
    assert f"{directive} of ssh_config for target allows only" in caught.value.message
    assert names.split(",")[0] in caught.value.message


@pytest.mark.parametrize(
    "line",
    [
        "Ciphers aes128-cbc,aes256-cbc,3des-cbc",
        "Ciphers aes128-ctr\nMACs hmac-md5,hmac-md5-96,hmac-sha1-96",
    ],
)
def test_no_weak_algorithm_is_used_whatever_the_server_offers(
    make_sshd: Make, line: str
) -> None:
    with (
        Sandbox(make_sshd(extra=line).config()) as sandbox,
        pytest.raises(ConnectError, match="no algorithm in common"),
    ):
        sandbox.run("true")


def test_the_only_name_of_a_key_exchange_may_be_its_newer_one(make_sshd: Make) -> None:
    server = make_sshd(extra="KexAlgorithms curve25519-sha256")
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok


def test_host_key_algorithms_decide_which_key_is_shown(
    make_sshd: Make, tmp_path: Path
) -> None:
    keygen("-t", "rsa", "-N", "", "-f", tmp_path / "rsa")
    server = make_sshd(extra=f"HostKey {tmp_path}/rsa")
    lines = server.known_hosts.read_text()
    name = lines.split()[0]
    server.known_hosts.write_text(f"{lines}{name} {(tmp_path / 'rsa.pub').read_text()}")
    for algorithm in ("rsa-sha2-256", "ssh-ed25519"):
        how = config(server, tmp_path, f"HostKeyAlgorithms {algorithm}")
        with Sandbox(how) as sandbox:
            assert sandbox.run("true").ok
            assert sandbox.connection.transport.host_key_type == algorithm


def test_a_short_rsa_key_counts_for_nothing_on_either_side(
    make_sshd: Make, tmp_path: Path
) -> None:
    keygen("-t", "rsa", "-b", "2048", "-N", "", "-f", tmp_path / "rsa")
    server = make_sshd(extra=f"AuthorizedKeysFile {tmp_path}/rsa.pub")
    lines = "RequiredRSASize 3072", f"IdentityFile {tmp_path}/rsa", "IdentitiesOnly yes"
    with Sandbox(config(server, tmp_path, *lines[1:])) as sandbox:
        assert sandbox.run("true").ok
    how = config(server, tmp_path, *lines)
    assert not ssh_connects(how)
    with Sandbox(how) as sandbox, pytest.raises(ConnectError) as caught:
        sandbox.run("true")
    assert "it has 2048 bits, and RequiredRSASize of ssh_config is 3072" in str(
        caught.value
    )
    showing = make_sshd(extra=f"HostKey {tmp_path}/rsa\nHostKeyAlgorithms rsa-sha2-512")
    name = showing.known_hosts.read_text().split()[0]
    showing.known_hosts.write_text(f"{name} {(tmp_path / 'rsa.pub').read_text()}")
    with Sandbox(config(showing, tmp_path)) as sandbox:
        assert sandbox.run("true").ok
    how = config(showing, tmp_path, "RequiredRSASize 3072")
    assert not ssh_connects(how)
    with Sandbox(how) as sandbox, pytest.raises(HostKeyError, match="RequiredRSASize"):
        sandbox.run("true")


def test_a_key_that_pubkey_accepted_algorithms_leaves_out_is_not_offered(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd()
    how = config(
        server, tmp_path, "PubkeyAcceptedAlgorithms rsa-sha2-512", "IdentitiesOnly yes"
    )
    assert not ssh_connects(how)
    with Sandbox(how) as sandbox, pytest.raises(ConnectError) as caught:
        sandbox.run("true")
    assert "PubkeyAcceptedAlgorithms of ssh_config leaves ssh-ed25519 out" in str(
        caught.value
    )
    assert "tried no key" in caught.value.message


@pytest.mark.parametrize(
    ("mode", "good"), [(0o600, True), (0o400, True), (0o640, False)]
)
def test_a_private_key_that_others_can_read_is_refused_as_ssh_refuses_it(
    make_sshd: Make, tmp_path: Path, mode: int, good: bool
) -> None:
    server = make_sshd()
    server.identity_file.chmod(mode)
    how = config(server, tmp_path, "IdentitiesOnly yes")
    assert ssh_connects(how) is good
    with Sandbox(how) as sandbox:
        if good:
            assert sandbox.run("true").ok
            return
        with pytest.raises(ConnectError) as caught:
            sandbox.run("true")
    assert f"chmod 600 {server.identity_file}" in caught.value.hint
    assert "its mode is 0640" in caught.value.message


def test_a_server_behind_a_link_of_its_own_keeps_its_algorithms(
    sshd: SshServer, tmp_path: Path
) -> None:
    """The guards stand wherever the bytes come from: here, a ProxyCommand."""
    with cable(sshd.host, sshd.port) as laid:
        how = config(
            sshd, tmp_path, f"ProxyCommand nc 127.0.0.1 {laid.port}",
            "Ciphers aes256-gcm@openssh.com",
        )  # fmt: skip
        with Sandbox(how) as sandbox:
            assert sandbox.run("true").ok
            cipher = sandbox.connection.transport.remote_cipher
    assert cipher == "aes256-gcm@openssh.com"
