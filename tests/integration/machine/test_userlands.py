"""Other people's machines: any /bin/sh, few tools, start-up files that misbehave."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import set_up
from mounts import Mounts, private_mounts
from slow import slow
from sshd import SshServer

from sandbox_ops import EndKind, Sandbox
from sandbox_ops.errors import RefusedError, SandboxError
from sandbox_ops.machine import jobs, listing, transfer
from sandbox_ops.workflows.fetch import fetch
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.setup import setup
from sandbox_ops.workflows.sync import sync
from sandbox_ops.workflows.train import train

Make = Callable[..., SshServer]


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with private_mounts() as own:
        yield own


def with_sh(mounts: Mounts, make_sshd: Make, folder: Path, shell: str) -> SshServer:
    """A machine whose /bin/sh is that shell; all other programs stay as they are."""
    for name in ("upper", "work"):
        (folder / name).mkdir(parents=True)
    (folder / "upper/sh").symlink_to(str(shutil.which(shell)))
    mounts.overlay(Path("/usr/bin"), upper=folder / "upper", work=folder / "work")
    server = mounts.do(make_sshd)
    reported = server.ssh("readlink -f /bin/sh")
    assert Path(reported.strip()).name == Path(str(shutil.which(shell))).resolve().name
    return server


@pytest.mark.parametrize(
    "shell", ["mksh", "busybox", *slow("ksh93", "posh", "yash", "zsh")]
)
def test_any_bin_sh_runs_commands_jobs_and_transfers(
    shell: str, mounts: Mounts, make_sshd: Make, tmp_path: Path
) -> None:
    server = with_sh(mounts, make_sshd, tmp_path / "overlay", shell)
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run("echo out; echo é >&2; exit 3", env={"A": "x'y\n"})
        assert (result.exit_code, result.stdout.text) == (3, "out\n")
        assert result.stderr.text == "é\n"
        assert sandbox.run("printf 'né\\n' é日本").stdout.text == "né\n"
        late = sandbox.run("setsid sleep 7581 & sleep 7581", timeout_s=0.5)
        assert (late.end, late.left) == (EndKind.TIMED_OUT, ())
        job = sandbox.start("sleep 7582")
        assert jobs.stop(sandbox, job.id, grace_s=0).left == ()
        sent = tmp_path / "sent é"
        sent.write_bytes(os.urandom(300_000))
        there = f"{server.home}/sent é"
        transfer.upload(sandbox, sent, there)
        home = tmp_path / "home"
        transfer.download(sandbox, there, home, size_bytes=300_000)
        assert home.read_bytes() == sent.read_bytes()


START_UP_FILES = {
    "reads a line": "read -r answer",
    "reads three lines": "read a; read b; read c",
    "empties PATH": "PATH=",
    "points PATH at nothing": "export PATH=/nonexistent",
    "unsets HOME": "unset HOME",
    "unsets HOME and PATH": "unset HOME PATH",
    "closes stderr": "exec 2>&-",
    "redirects stderr": "exec 2>/dev/null",
    "opens other descriptors": "exec 3</dev/null 7>/dev/null 8>&1 9>/dev/null",
}


@pytest.mark.parametrize("line", START_UP_FILES.values(), ids=START_UP_FILES.keys())
def test_commands_and_transfers_work_whatever_a_bashrc_does(
    line: str, make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd(login_shell="/bin/bash")
    (server.home / ".bashrc").write_text(f"{line}\n")
    (server.home / "data").write_bytes(b"x" * 100_000)
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run("echo out; exit 3")
        assert (result.exit_code, result.stdout.text) == (3, "out\n")
        home = tmp_path / "home"
        there = f"{server.home}/data"
        transfer.download(sandbox, there, home, size_bytes=100_000)
        assert home.stat().st_size == 100_000
        collected = listing.files(sandbox, str(server.home), ["data"])
        assert [file.path for file in collected] == ["data"]
        assert jobs.recent(sandbox, 10, include_commands=True)


def _a_day_of_work(server: SshServer, git: GitProject, tmp_path: Path) -> None:
    """Set up, sync, train, fetch and reset, with a rescue."""
    with Sandbox(server.config()) as sandbox:
        place = set_up(sandbox, git)
        git.commit({"train.py": "print('loss: 1')\n"})
        assert sync(sandbox, place.project, push=True).commit_after == git.head
        report = train(sandbox, place.project, command="mkdir -p out; echo 1 >out/x")
        assert jobs.wait(sandbox, report.job.id, timeout_s=30).exit_code == 0
        place.write("train.py", "edited there\n")
        place.write("new", "not tracked there\n")
        outputs = git.project(outputs=("out/",))
        rescued = reset(sandbox, outputs)
        assert rescued.backup_ref
        assert place.run("show", f"{rescued.backup_ref}:train.py") == "edited there"
        assert place.run("status", "--porcelain", "--untracked-files=no") == ""
        files = fetch(sandbox, outputs, into=str(tmp_path / "o"))
        assert [file.path for file in files.files] == ["out/x"]


def test_words_on_stderr_of_every_program_are_no_answer(
    make_sshd: Make, git_project: GitProject, tmp_path: Path
) -> None:
    """As where LD_PRELOAD names what is not there: each program says so on stderr."""
    server = make_sshd(environment={"LD_PRELOAD": "/nonexistent/libwatch.so"})
    assert "cannot be preloaded" in server.ssh("git --version 2>&1 >/dev/null")
    _a_day_of_work(server, git_project, tmp_path)


def test_a_machine_with_busybox_and_git_alone_does_a_day_of_work(
    make_sshd: Make, git_project: GitProject, tmp_path: Path
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    os.system(f"{shutil.which('busybox')} --install -s {folder}")  # noqa: S605
    for name in ("git", "ssh"):
        (folder / name).symlink_to(str(shutil.which(name)))
    server = make_sshd(environment={"PATH": str(folder)})
    assert server.ssh("command -v comm || echo none") == "none\n"
    _a_day_of_work(server, git_project, tmp_path)


def test_a_home_that_is_not_there_is_named(make_sshd: Make) -> None:
    server = make_sshd()
    server.home.rename(server.home.with_name("elsewhere"))
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(RefusedError, match=f"home directory {server.home} is not there"),
    ):
        sandbox.run("true")


def test_a_machine_without_git_is_reported_with_how_to_get_it(
    make_sshd: Make, git_project: GitProject, tmp_path: Path
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    os.system(f"{shutil.which('busybox')} --install -s {folder}")  # noqa: S605
    server = make_sshd(environment={"PATH": str(folder)})
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(SandboxError, match="git is not installed") as caught,
    ):
        setup(sandbox, git_project.project())
    assert "apt-get install git" in caught.value.hint
