"""`sandbox-ops shell`: a person's terminal on the machine."""

import os
import pty
import subprocess
import sys
from pathlib import Path

from sshd import SshServer
from waiting import wait_until

from sandbox_ops import SandboxConfig
from sandbox_ops.machine import shell


def test_the_shell_is_opened_with_the_sandbox_s_own_options() -> None:
    config = SandboxConfig(
        name="a", host="gpu1", port=2222, user="me", known_hosts="/k", ssh_config="/c"
    )
    assert shell.command(config, "/workspace/it's") == (
        *("ssh", "-F", "/c", "-p", "2222", "-l", "me", "-o", "UserKnownHostsFile=/k"),
        *("-t", "--", "gpu1", "cd '/workspace/it'\"'\"'s'; exec $SHELL -l"),
    )


def test_a_terminal_is_on_the_machine_and_its_exit_code_is_ours(
    sshd: SshServer, tmp_path: Path
) -> None:
    sshd.write_toml(tmp_path)
    ours, theirs = pty.openpty()
    client = subprocess.Popen(
        [Path(sys.executable).with_name("sandbox-ops"), "shell"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    output = bytearray()

    def has(text: bytes) -> bool:
        output.extend(os.read(ours, 4096))
        return text in output

    os.write(ours, b"echo here-is-$((40+2)) $HOME\n")
    wait_until(lambda: has(b"here-is-42"), 20)
    os.write(ours, b"exit 7\n")
    assert client.wait(20) == 7
    os.close(ours)
    assert str(sshd.home).encode() in output
