"""Our verdict on a host key, beside the one of OpenSSH's own client."""

import subprocess
from pathlib import Path

import pytest
from sshd import SshServer

from sandbox_ops.ssh import host_key_check, known_hosts
from sandbox_ops.ssh.host_key_check import Trust

OTHER = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA5DP+Dmb8OiKRJt+VXOVjzXbTr1LGwIt5+HKg9lplBT"
)
# What ssh says on stderr; where it says none of these, it accepted us.
WORDS = (
    ("revoked and you have requested strict checking", Trust.REVOKED),
    ("has changed and you have requested strict checking", Trust.CHANGED),
    ("key is known for", Trust.UNKNOWN),
)


def _ssh_says(server: SshServer, known_hosts: Path) -> Trust:
    strict = ("StrictHostKeyChecking=yes", f"UserKnownHostsFile={known_hosts}")
    options = [f"-o{option}" for option in (*strict, "GlobalKnownHostsFile=none")]
    output = subprocess.run(
        ("ssh", *options, "-F", str(server.ssh_config), "box", "true"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    verdicts = (trust for arguments, trust in WORDS if arguments in output.stderr)
    return next(verdicts, Trust.UNKNOWN if output.returncode else Trust.TRUSTED)


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "{host} {key}",
        "[{host}]:{port} {key}",
        "[{host}]:* {key}",
        "{host} {other}",
        "[{host}]:{port} {other}",
        "[{host}]:{port} {other}\n{host} {key}",
        "[{host}]:{port} {other}\n[{host}]:{port} {key}",
        "@revoked * {key}\n[{host}]:{port} {key}",
        "@revoked {host} {key}",
        "@revoked * {other}\n[{host}]:{port} {key}",
        "@cert-authority * {other}",
        "@cert-authority * {other}\n[{host}]:{port} {key}",
        "*,![{host}]:{port} {key}",
        "a broken line\n[{host}]:{port} {key}",
    ],
)
def test_a_host_key_is_judged_as_openssh_judges_it(
    lines: str, sshd: SshServer, tmp_path: Path
) -> None:
    key_type, blob = sshd.known_hosts.read_text().split()[1:3]
    text = lines.format(
        host=sshd.host, port=sshd.port, key=f"{key_type} {blob}", other=OTHER
    )
    file = tmp_path / "known_hosts"
    file.write_text(f"{text}\n")
    entries = known_hosts.read(file.read_text(), str(file))
    ours = host_key_check.check(entries, sshd.host, sshd.port, key_type, blob)
    assert ours.trust is _ssh_says(sshd, file)
