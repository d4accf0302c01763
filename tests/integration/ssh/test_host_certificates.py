"""A machine whose host key an authority vouches for, beside OpenSSH's own client."""

import base64
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sshd import SshServer

from sandbox_ops import Sandbox
from sandbox_ops.errors import HostKeyError
from sandbox_ops.ssh import certificates

Make = Callable[..., SshServer]


def keygen(*arguments: object) -> None:
    subprocess.run(["ssh-keygen", "-q", *map(str, arguments)], check=True)


def authority(
    folder: Path, name: str = "ca", kind: str = "ed25519"
) -> tuple[Path, str]:
    """Make one; return its key's file and its public key."""
    keygen("-t", kind, "-N", "", "-f", folder / name)
    return folder / name, (folder / f"{name}.pub").read_text().strip()


def certify(server: SshServer, folder: Path, key: Path, *options: str) -> bytes:
    """Have the server show a certificate; return it."""
    shutil.copy(server.folder / "host_key.pub", folder / "host_key.pub")
    keygen("-s", key, "-I", "test", "-h", *options, folder / "host_key.pub")
    server.stop()
    server.start()
    return base64.b64decode((folder / "host_key-cert.pub").read_text().split()[1])


def made(make_sshd: Make, folder: Path) -> SshServer:
    return make_sshd(extra=f"HostCertificate {folder}/host_key-cert.pub")


def ssh_trusts(server: SshServer, known_hosts: Path) -> bool:
    strict = ("StrictHostKeyChecking=yes", f"UserKnownHostsFile={known_hosts}")
    options = [f"-o{option}" for option in (*strict, "GlobalKnownHostsFile=none")]
    done = subprocess.run(
        ["ssh", *options, "-F", server.ssh_config, "box", "true"],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode == 0


def we_trust(server: SshServer, known_hosts: Path) -> bool:
    with Sandbox(server.config(known_hosts=str(known_hosts))) as sandbox:
        try:
            return sandbox.run("true").ok
        except HostKeyError:
            return False


HERE = ("-n", "127.0.0.1")
CASES = {
    "good": ("ed25519", HERE, True),
    "one name of two": ("ed25519", ("-n", "other,127.0.0.1"), True),
    "a pattern": ("ed25519", ("-n", "other,127.*"), False),
    "for every name": ("ed25519", (), True),
    "of an RSA key": ("rsa", HERE, True),
    "of an ECDSA key": ("ecdsa", HERE, True),
    "signed with SHA-1": ("rsa", (*HERE, "-t", "ssh-rsa"), False),
    "for another name": ("ed25519", ("-n", "other"), False),
    "expired": ("ed25519", (*HERE, "-V", "20200101:20210101"), False),
    "not valid yet": ("ed25519", (*HERE, "-V", "20900101:20910101"), False),
    "with a condition": ("ed25519", (*HERE, "-O", "critical:odd=1"), False),
}


@pytest.mark.parametrize(("kind", "options", "good"), CASES.values(), ids=CASES.keys())
def test_a_host_certificate_is_judged_as_openssh_judges_it(
    kind: str, options: tuple[str, ...], good: bool, make_sshd: Make, tmp_path: Path
) -> None:
    server = made(make_sshd, tmp_path)
    key, public = authority(tmp_path, kind=kind)
    certify(server, tmp_path, key, *options)
    known = tmp_path / "known"
    known.write_text(f"@cert-authority * {public}\n")
    assert (we_trust(server, known), ssh_trusts(server, known)) == (good, good)


LINES = {
    "another authority": ("@cert-authority * {other}\n", False),
    "for other machines": ("@cert-authority elsewhere {ours}\n", False),
    "a revoked authority": ("@revoked * {ours}\n@cert-authority * {ours}\n", False),
    "one of two": ("@cert-authority * {other}\n@cert-authority * {ours}\n", True),
    "a revoked key": ("@revoked * {key}\n@cert-authority * {ours}\n", False),
    "its plain key": ("@cert-authority * {other}\n[{host}]:{port} {key}\n", True),
}


@pytest.mark.parametrize(("lines", "good"), LINES.values(), ids=LINES.keys())
def test_an_authority_counts_as_it_does_for_openssh(
    lines: str, good: bool, make_sshd: Make, tmp_path: Path
) -> None:
    server = made(make_sshd, tmp_path)
    key, ours = authority(tmp_path)
    other = authority(tmp_path, "other")[1]
    certify(server, tmp_path, key, *HERE)
    host_key = " ".join((server.folder / "host_key.pub").read_text().split()[:2])
    known = tmp_path / "known"
    known.write_text(
        lines.format(
            ours=ours, other=other, key=host_key, host=server.host, port=server.port
        )
    )
    assert (we_trust(server, known), ssh_trusts(server, known)) == (good, good)


def test_a_certificate_with_any_byte_changed_authenticates_nobody(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = made(make_sshd, tmp_path)
    key, public = authority(tmp_path)
    blob = certify(server, tmp_path, key, *HERE)
    trusted = [base64.b64decode(public.split()[1])]
    assert certificates.verify_certificate(blob, trusted, "127.0.0.1") == (True, "")
    for at in range(len(blob)):
        changed = blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]
        assert not certificates.verify_certificate(changed, trusted, "127.0.0.1")[0], at
        assert not certificates.verify_certificate(blob[:at], trusted, "127.0.0.1")[
            0
        ], at
    assert not certificates.verify_certificate(blob + b"\0", trusted, "127.0.0.1")[0]


def test_a_certificate_that_does_not_count_is_reported_with_the_reason(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = made(make_sshd, tmp_path)
    key, public = authority(tmp_path)
    certify(server, tmp_path, key, "-n", "elsewhere")
    known = tmp_path / "known"
    known.write_text(f"@cert-authority * {public}\n")
    config = server.config(known_hosts=str(known))
    with Sandbox(config) as sandbox, pytest.raises(HostKeyError) as caught:
        sandbox.run("true")
    assert f"{known}:1 trusts an authority for it" in caught.value.message
    assert "it is for elsewhere" in caught.value.message


def test_a_machine_that_shows_nothing_but_a_certificate_is_known_by_the_key_in_it(
    make_sshd: Make, tmp_path: Path
) -> None:
    only = "HostKeyAlgorithms ssh-ed25519-cert-v01@openssh.com"
    server = make_sshd(extra=f"HostCertificate {tmp_path}/host_key-cert.pub\n{only}")
    certify(server, tmp_path, authority(tmp_path)[0], *HERE)
    known = server.known_hosts
    assert (we_trust(server, known), ssh_trusts(server, known)) == (True, True)
