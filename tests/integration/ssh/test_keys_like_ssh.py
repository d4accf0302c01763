"""Keys are found, offered and refused as ssh does it, with a real agent and a real sshd.

Each configuration is given to OpenSSH's own client too: it has to agree.
"""

import base64
import dataclasses
import logging
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sshd_files
from processes import Child
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.errors import ConnectError

Make = Callable[..., SshServer]


@dataclass(frozen=True)
class Agent:
    """A real ssh-agent."""

    socket: Path

    def add(self, *words: str | Path) -> None:
        _tool("ssh-add", "-q", *words, environ={"SSH_AUTH_SOCK": str(self.socket)})


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    where = tmp_path / "agent.sock"
    command = ["ssh-agent", "-D", "-a", str(where)]
    with Child(command, stdout=subprocess.DEVNULL) as process:
        wait_until(where.exists)
        yield Agent(where)
        process.terminate()


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A folder of key pairs: `good` is let in, `other` and `ca` are not."""
    folder = tmp_path / "keys"
    folder.mkdir()
    for name in ("good", "other", "ca"):
        sshd_files.keygen(folder / name)
    return folder


@pytest.fixture
def server(make_sshd: Make, keys: Path) -> SshServer:
    """A machine that lets in `good`, and whom `ca` vouches for."""
    return make_sshd(
        extra=f"AuthorizedKeysFile {keys}/good.pub\nTrustedUserCAKeys {keys}/ca.pub"
    )


def _tool(*command: str | Path, environ: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env=environ)


def certify(keys: Path, name: str, user: str) -> Path:
    """Have the authority sign a key; return the certificate's file."""
    _tool(
        "ssh-keygen",
        "-q",
        "-s",
        keys / "ca",
        "-I",
        "t",
        "-n",
        user,
        keys / f"{name}.pub",
    )
    return keys / f"{name}-cert.pub"


def config(server: SshServer, folder: Path, *lines: str) -> SandboxConfig:
    text = (
        f"Host target\n  HostName {server.host}\n  Port {server.port}\n"
        f"  User {server.user}\n  UserKnownHostsFile {server.known_hosts}\n"
        "  GlobalKnownHostsFile none\n"
    )
    path = folder / "client_config"
    path.write_text(text + "".join(f"  {line}\n" for line in lines))
    return SandboxConfig(name="t", host="target", ssh_config=str(path))


def ssh_gets_in(how: SandboxConfig) -> bool:
    command = [
        "ssh",
        "-F",
        str(how.ssh_config),
        "-o",
        "BatchMode=yes",
        "target",
        "true",
    ]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20
    )
    return done.returncode == 0


def gets_in(how: SandboxConfig) -> bool:
    with Sandbox(how) as sandbox:
        return sandbox.run("echo in").stdout.text == "in\n"


def refusal(how: SandboxConfig) -> ConnectError:
    with Sandbox(how) as sandbox, pytest.raises(ConnectError) as caught:
        sandbox.run("true")
    assert not ssh_gets_in(how)
    return caught.value


@pytest.mark.parametrize(
    "words", ["{socket}", "$MY_AGENT", "${{MY_AGENT}}", "SSH_AUTH_SOCK"]
)
def test_the_agent_that_ssh_config_names_is_asked(
    server: SshServer, agent: Agent, keys: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, words: str,
) -> None:  # fmt: skip
    agent.add(keys / "good")
    by_environment = words == "SSH_AUTH_SOCK"
    name = "SSH_AUTH_SOCK" if by_environment else "MY_AGENT"
    monkeypatch.setenv(name, str(agent.socket))
    if not by_environment:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "nobody.sock"))
    how = config(server, tmp_path, f"IdentityAgent {words.format(socket=agent.socket)}")
    assert (gets_in(how), ssh_gets_in(how)) == (True, True)


def test_identity_agent_none_asks_no_agent(
    server: SshServer, agent: Agent, keys: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    agent.add(keys / "good")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
    assert gets_in(config(server, tmp_path))
    assert (
        "tried no key"
        in refusal(config(server, tmp_path, "IdentityAgent none")).message
    )


def test_an_agent_that_does_not_answer_is_named(
    server: SshServer, tmp_path: Path
) -> None:
    error = refusal(config(server, tmp_path, f"IdentityAgent {tmp_path}/gone.sock"))
    assert f"the agent at {tmp_path}/gone.sock does not answer" in error.message


@pytest.mark.parametrize("file", ["good", "good.pub"])
def test_a_key_that_the_agent_alone_holds_is_named_by_its_public_half(
    server: SshServer, agent: Agent, keys: Path, tmp_path: Path, file: str
) -> None:
    agent.add(keys / "other")
    agent.add(keys / "good")
    (keys / "good").unlink()
    how = config(
        server, tmp_path, "IdentitiesOnly yes", f"IdentityAgent {agent.socket}",
        f"IdentityFile {keys}/{file}",
    )  # fmt: skip
    assert (gets_in(how), ssh_gets_in(how)) == (True, True)
    assert "Failed publickey" not in server.log  # `other` was not offered


def test_with_identities_only_other_keys_of_the_agent_are_not_offered(
    server: SshServer, agent: Agent, keys: Path, tmp_path: Path
) -> None:
    agent.add(keys / "good")
    how = config(
        server, tmp_path, "IdentitiesOnly yes", f"IdentityAgent {agent.socket}",
        f"IdentityFile {keys}/other",
    )  # fmt: skip
    assert f"tried {keys}/other" in refusal(how).message


def test_the_key_that_ssh_config_names_is_offered_before_the_agent_s_others(
    server: SshServer, agent: Agent, keys: Path, tmp_path: Path
) -> None:
    for n in range(7):  # sshd hangs up at the sixth
        sshd_files.keygen(keys / f"more{n}")
        agent.add(keys / f"more{n}")
    agent.add(keys / "good")
    lines = f"IdentityAgent {agent.socket}", f"IdentityFile {keys}/good"
    how = config(server, tmp_path, *lines)
    assert (gets_in(how), ssh_gets_in(how)) == (True, True)
    crowd = refusal(config(server, tmp_path, lines[0]))
    assert "IdentitiesOnly yes" in crowd.hint


def test_the_key_of_sandbox_toml_is_offered_before_all_of_the_agent_s(
    server: SshServer, agent: Agent, keys: Path, tmp_path: Path
) -> None:
    for n in range(7):
        sshd_files.keygen(keys / f"more{n}")
        agent.add(keys / f"more{n}")
    how = config(server, tmp_path, f"IdentityAgent {agent.socket}")
    assert gets_in(dataclasses.replace(how, identity_file=str(keys / "good")))
    assert "Failed publickey" not in server.log


def test_a_certificate_is_found_beside_its_key_or_where_ssh_config_says(
    server: SshServer, keys: Path, tmp_path: Path
) -> None:
    beside = certify(keys, "other", server.user)
    how = config(server, tmp_path, f"IdentityFile {keys}/other")
    assert (gets_in(how), ssh_gets_in(how)) == (True, True)
    beside.rename(tmp_path / "by another name")
    assert f"tried {keys}/other" in refusal(how).message
    how = config(
        server, tmp_path, f"IdentityFile {keys}/other",
        f'CertificateFile "{tmp_path}/by another name"',
    )  # fmt: skip
    assert (gets_in(how), ssh_gets_in(how)) == (True, True)


@pytest.mark.parametrize("kind", ["ed25519", "rsa", "ecdsa"])
def test_a_certificate_is_signed_for_by_the_agent_s_key(
    server: SshServer, agent: Agent, keys: Path, tmp_path: Path, kind: str
) -> None:
    _tool("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", keys / "third")
    agent.add(keys / "third")
    certificate = certify(keys, "third", server.user).rename(
        tmp_path / "certificate.pub"
    )
    (keys / "third").unlink()
    lines = f"IdentityAgent {agent.socket}", f"CertificateFile {certificate}"
    how = config(server, tmp_path, *lines)
    assert (gets_in(how), ssh_gets_in(how)) == (True, True)
    how = config(server, tmp_path, "IdentityAgent none", lines[1])
    assert "the key that it certifies is not there" in refusal(how).message


def test_a_certificate_that_the_agent_holds_is_offered(
    server: SshServer, agent: Agent, keys: Path, tmp_path: Path
) -> None:
    certificate = certify(keys, "other", server.user)
    agent.add(keys / "other")  # takes the certificate beside it along
    certificate.unlink()
    how = config(server, tmp_path, f"IdentityAgent {agent.socket}")
    assert (gets_in(how), ssh_gets_in(how)) == (True, True)


@pytest.fixture
def locked(keys: Path) -> Path:
    """`good` again, behind a passphrase."""
    shutil.copy(keys / "good", keys / "locked")
    _tool(
        "ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", keys / "locked"
    )
    return keys / "locked"


def ask_with(
    monkeypatch: pytest.MonkeyPatch, folder: Path, answer: str
) -> Callable[[], int]:
    """Have a program answer for the passphrase; return how often it was asked."""
    program, asked = folder / "askpass", folder / "asked"
    program.write_text(f"#!/bin/sh\necho \"$1\" >>{asked}\necho '{answer}'\n")
    program.chmod(0o700)
    asked.touch()
    monkeypatch.setenv("SSH_ASKPASS", str(program))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    return lambda: len(asked.read_text().splitlines())


def test_a_passphrase_is_asked_for_once_and_never_again_when_the_link_comes_back(
    server: SshServer, locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = ask_with(monkeypatch, tmp_path, "open sesame")
    how = config(server, tmp_path, f"IdentityFile {locked}")
    with Sandbox(how) as sandbox:
        assert sandbox.run("true").ok
        assert times() == 1
        server.restart()
        assert sandbox.run("true").ok
    assert times() == 1


def test_no_passphrase_is_asked_for_where_another_key_will_do(
    server: SshServer, locked: Path, keys: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    times = ask_with(monkeypatch, tmp_path, "open sesame")
    lines = f"IdentityFile {locked}", f"IdentityFile {keys}/good"
    assert gets_in(config(server, tmp_path, *lines))
    assert times() == 0


def test_a_locked_key_that_the_agent_holds_needs_no_passphrase(
    server: SshServer, agent: Agent, locked: Path, keys: Path, tmp_path: Path
) -> None:
    agent.add(keys / "good")  # the same key, open
    lines = f"IdentityFile {locked}", "IdentitiesOnly yes"
    how = config(server, tmp_path, *lines, f"IdentityAgent {agent.socket}")
    assert (gets_in(how), ssh_gets_in(how)) == (True, True)


def test_a_wrong_passphrase_is_reported(
    server: SshServer, locked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_with(monkeypatch, tmp_path, "open barley")
    how = config(server, tmp_path, f"IdentityFile {locked}")
    with Sandbox(how) as sandbox, pytest.raises(ConnectError) as caught:
        sandbox.run("true")
    assert f"a passphrase that does not open {locked}" in caught.value.hint


def test_an_old_encrypted_pem_key_is_opened_too(
    server: SshServer, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = keys / "old"
    _tool("ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-N", "open sesame", "-f", old)
    with (keys / "good.pub").open("a") as let_in:
        let_in.write((keys / "old.pub").read_text())
    assert "BEGIN RSA PRIVATE KEY" in old.read_text()
    ask_with(monkeypatch, tmp_path, "open sesame")
    assert gets_in(config(server, tmp_path, f"IdentityFile {old}"))


def security_key(path: Path) -> None:
    """Write what `ssh-keygen -t ed25519-sk` leaves beside the device, as to its form."""

    def string(data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + data

    kind = b"sk-ssh-ed25519@openssh.com"
    public = string(kind) + string(b"\1" * 32) + string(b"ssh:")
    body = b"openssh-key-v1\0" + string(b"none") * 2 + string(b"")
    body += struct.pack(">I", 1) + string(public) + string(b"\0" * 64)
    text = base64.encodebytes(body).decode()
    mark = "OPENSSH PRIVATE KEY-----\n"
    path.write_text(f"-----BEGIN {mark}{text}-----END {mark}")
    path.chmod(0o600)


def test_what_cannot_be_offered_is_named_with_the_way_out(
    server: SshServer, keys: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    security_key(keys / "fido")
    _tool(
        "ssh-keygen", "-q", "-t", "rsa", "-m", "PKCS8", "-N", "", "-f", keys / "pkcs8"
    )
    (keys / "rubbish").write_text("rubbish\n")
    names = ("fido", "pkcs8", "rubbish", "absent")
    how = config(
        server, tmp_path, "PKCS11Provider /usr/lib/opensc.so",
        *(f"IdentityFile {keys}/{name}" for name in names),
    )  # fmt: skip
    with caplog.at_level(logging.WARNING):
        message = refusal(how).message
    assert f"{keys}/fido: stands for a security key (FIDO)" in message
    assert f"ssh-add {keys}/fido" in message
    assert f"ssh-keygen -p -f {keys}/pkcs8" in message
    assert f"{keys}/rubbish: is in no format" in message
    assert f"{keys}/absent: no such file" in message
    assert "PKCS11Provider: only ssh and ssh-agent can ask a smart card" in message
    assert "PKCS11Provider of ssh_config is not honoured" in caplog.text


def test_a_server_that_wants_a_password_is_distinguished_from_one_that_refuses_a_key(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd(
        extra="PasswordAuthentication yes\nAuthenticationMethods password"
    )
    error = refusal(config(server, tmp_path, f"IdentityFile {server.identity_file}"))
    assert "it wants password" in error.message


def test_a_key_that_is_right_and_not_enough_never_leads_to_a_prompt(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd(
        extra="PasswordAuthentication yes\nAuthenticationMethods publickey,password"
    )
    error = refusal(config(server, tmp_path, f"IdentityFile {server.identity_file}"))
    assert "which is right, and not enough" in error.message
    assert "it wants password" in error.message
