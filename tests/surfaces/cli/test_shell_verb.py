"""`sandbox-ops shell`: a person's terminal on the machine."""

import dataclasses
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import set_up
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.machine import shell


def test_the_shell_is_opened_with_the_sandbox_s_own_options() -> None:
    config = SandboxConfig(
        name="a", host="gpu1", port=2222, user="me", known_hosts="/k", ssh_config="/c"
    )
    assert shell.command(config, "/workspace/it's") == (
        *("ssh", "-F", "/c", "-p", "2222", "-l", "me", "-o", "UserKnownHostsFile=/k"),
        *("-t", "--", "gpu1", "cd '/workspace/it'\"'\"'s'; exec $SHELL -l"),
    )


@pytest.mark.parametrize("link", ["fabric", "openssh"])
def test_a_terminal_is_on_the_machine_and_its_exit_code_is_ours(
    sshd: SshServer, tmp_path: Path, link: str
) -> None:
    sshd.write_toml(tmp_path, link=link)
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


@pytest.mark.parametrize("program", ["bash", "zsh", "fish"])
def test_a_shell_in_the_project_uses_what_setup_made(
    make_sshd: Callable[..., SshServer], git_project: GitProject, program: str
) -> None:
    server = make_sshd()
    (server.home / ".bashrc").write_text('PATH="/somebody/else/first:$PATH"\n')
    (server.home / ".zshrc").write_text("")
    git_project.commit({"requirements.txt": "# nothing\n"}, push=True)
    with Sandbox(server.config()) as sandbox:
        place = set_up(sandbox, git_project)
        project = dataclasses.replace(
            place.project, env=("GREETING=it's me",), path=("tools",)
        )
        line = shell.in_project(sandbox, project)
    ours, theirs = pty.openpty()
    client = subprocess.Popen(
        ["setsid", "-cw", "sh", "-c", f"cd {place.clone}; exec {line}"],
        env={
            **os.environ,
            "HOME": str(server.home),
            "SHELL": shutil.which(program) or "",
        },
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    output = bytearray()

    def has(text: str) -> bool:
        if text.encode() not in output:
            output.extend(os.read(ours, 4096))
        return text.encode() in output

    os.write(ours, b"command -v python; echo $GREETING $PWD $PATH | cut -c 1-300\n")
    wait_until(lambda: has(f"{place.clone}/.venv/bin/python"), 20)
    wait_until(lambda: has(f"it's me {place.clone} {place.clone}/tools"), 20)
    os.write(ours, b"exit 7\n")
    assert client.wait(20) == 7
    os.close(ours)


def test_a_shell_whose_environment_is_empty_finds_the_home(
    make_sshd: Callable[..., SshServer], git_project: GitProject
) -> None:
    """As that of a container, which a link's command enters."""
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        place = set_up(sandbox, git_project)
        line = shell.in_project(sandbox, place.project)
    done = subprocess.run(
        ["env", "-i", f"PATH={os.environ['PATH']}", "sh", "-c", f"exec {line}"],
        input="echo home is $HOME\n",
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert f"home is {server.home}\n" in done.stdout
