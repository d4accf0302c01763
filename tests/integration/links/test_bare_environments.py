"""Machines whose environment says next to nothing: a container, a service, a bare chroot."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from accounts import with_accounts
from gitproject import GitProject

from sandbox_ops import JobState, Sandbox, SandboxConfig, setup, train
from sandbox_ops.errors import RefusedError
from sandbox_ops.links.process import ProcessLinks
from sandbox_ops.machine import files, jobs, transfer

Machine = Callable[..., Sandbox]
_SHELLS = (("dash",), ("bash",), (str(shutil.which("busybox")), "sh"))


@pytest.fixture(params=_SHELLS, ids=lambda shell: shell[0].rpartition("/")[2])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    """A sandbox over a shell of this computer, in an environment that is empty else."""
    (tmp_path / "home").mkdir()

    def make(*accounts: str, **environment: str) -> Sandbox:
        prefix = with_accounts(tmp_path / "etc", *accounts)
        variables = (f"{name}={value}" for name, value in environment.items())
        words = (*prefix, "env", "-i", *variables, *request.param, "-c")
        config = SandboxConfig(
            name="bare", host="bare", workspace=str(tmp_path / "workspace")
        )
        own = {"PATH": os.environ["PATH"]}
        return Sandbox(config, ProcessLinks(words, "this computer", own))

    return make


def test_without_a_variable_home_the_home_of_the_account_is_used(
    machine: Machine, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    with machine(f"root:x:0:0::{home}:/bin/sh") as sandbox:
        assert sandbox.home == str(home)
        assert sandbox.run("echo $HOME; pwd").stdout.text == f"{home}\n" * 2
        (tmp_path / "file").write_text("line\n")
        transfer.upload(sandbox, tmp_path / "file", f"{home}/copy")
        assert files.read_bytes(sandbox, f"{home}/copy", 0, 100) == b"line\n"


def test_a_user_id_without_an_account_clones_and_trains(
    machine: Machine, tmp_path: Path, git_project: GitProject
) -> None:
    with machine(HOME=str(tmp_path / "home")) as sandbox:
        assert sandbox.run("id -un").exit_code != 0
        assert setup(sandbox, git_project.project()).ok
        job = train(sandbox, git_project.project(), command="echo trained").job
        wait = jobs.wait(sandbox, job.id, timeout_s=30)
        assert wait.state is JobState.SUCCEEDED


def test_where_neither_variable_nor_account_names_a_home_that_is_said(
    machine: Machine,
) -> None:
    with (
        machine() as sandbox,
        pytest.raises(RefusedError, match=r"HOME is not set .* uid 0"),
    ):
        sandbox.run("true", cwd="/")
