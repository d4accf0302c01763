"""setup, against a real sshd and real repositories."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from gitproject import GitProject
from sshd import SshServer

from sandbox_ops import Sandbox
from sandbox_ops.errors import ConfigError, DeniedError, NotFoundError, RefusedError
from sandbox_ops.machine.environment import TorchCheck
from sandbox_ops.models import Project
from sandbox_ops.workflows.setup import SetupReport, Step, judge, setup


def results(report: SetupReport) -> dict[str, str]:
    return {step.name: step.result for step in report.steps}


def there(sandbox: Sandbox, project: GitProject) -> Path:
    return Path(sandbox.project_path(project.project()))


def test_a_first_setup_clones_installs_and_makes_the_logs_folder(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    reports: list[Step] = []
    project = git_project.project(
        setup=("echo made > .env-made",), verify=("test -f .env-made",)
    )
    report = setup(sandbox, project, on_step=reports.append)
    assert report.ok
    assert results(report) == {
        "clone": "changed",
        "logs": "changed",
        "environment": "changed",
        "verify": "ok",
    }
    assert tuple(reports) == report.steps
    clone = there(sandbox, git_project)
    assert git_project.git("rev-parse", "HEAD", at=clone) == git_project.head
    assert (clone / "logs").is_dir()
    assert git_project.git("status", "--porcelain", at=clone) == "?? .env-made"
    assert [step["name"] for step in report.as_json()["steps"]] == list(results(report))


def test_an_unchanged_setup_installs_nothing_again(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    project = git_project.project(setup=("echo x >> .env-made",))
    setup(sandbox, project)
    report = setup(sandbox, project)
    assert set(results(report).values()) == {"ok"}
    assert (there(sandbox, git_project) / ".env-made").read_text() == "x\n"


def test_another_lock_file_installs_again(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    project = git_project.project(setup=("echo x >> .env-made",))
    setup(sandbox, project)
    (there(sandbox, git_project) / "uv.lock").write_text("version = 2\n")
    assert results(setup(sandbox, project))["environment"] == "changed"
    changed = git_project.project(setup=("echo y >> .env-made",))
    assert results(setup(sandbox, changed))["environment"] == "changed"
    assert (there(sandbox, git_project) / ".env-made").read_text() == "x\nx\ny\n"


def test_a_failing_command_ends_the_setup_and_says_why(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    project = git_project.project(setup=("echo no such wheel >&2; exit 3",))
    report = setup(sandbox, project)
    assert not report.ok
    last = report.steps[-1]
    assert (last.name, last.result) == ("environment", "failed")
    assert last.detail.endswith("exit code 3\nno such wheel")
    assert results(setup(sandbox, project))["environment"] == "failed"


def test_a_failing_verification_is_tried_again_the_next_time(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    project = git_project.project(verify=("test -e no-such-file",))
    for _ in range(2):
        assert results(setup(sandbox, project))["verify"] == "failed"


def test_a_project_with_requirements_gets_an_environment_of_its_own(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    git_project.commit({"requirements.txt": "# nothing needed\n"}, push=True)
    report = setup(sandbox, git_project.project())
    assert report.ok, report.steps[-1].detail
    clone = there(sandbox, git_project)
    assert (clone / ".venv/pyvenv.cfg").exists()
    assert git_project.git("status", "--porcelain", at=clone) == ""
    again = setup(sandbox, git_project.project())
    assert set(results(again).values()) == {"ok"}


def test_another_branch_is_cloned_where_it_is_configured(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    git_project.git("push", "-q", "origin", "main:refs/heads/stable")
    git_project.commit({"new.txt": "not in stable\n"}, push=True)
    setup(sandbox, git_project.project(branch="stable"))
    clone = there(sandbox, git_project)
    assert git_project.git("symbolic-ref", "--short", "HEAD", at=clone) == "stable"
    assert not (clone / "new.txt").exists()


def test_a_workspace_that_cannot_be_made_is_named_with_the_cure(
    sandbox: Sandbox, git_project: GitProject, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    config = dataclasses.replace(sandbox.config, workspace=f"{tmp_path}/file/w")
    with Sandbox(config) as machine, pytest.raises(DeniedError) as caught:
        setup(machine, git_project.project())
    assert f"cannot create the workspace {tmp_path}/file/w" in caught.value.message
    assert "sudo mkdir" in caught.value.hint


def test_a_branch_that_was_never_pushed_is_not_found(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    with pytest.raises(NotFoundError, match="feature"):
        setup(sandbox, git_project.project(branch="feature"))


def test_a_folder_that_is_no_clone_is_left_alone(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    clone = there(sandbox, git_project)
    clone.mkdir()
    (clone / "notes.txt").touch()
    with pytest.raises(RefusedError, match="is not a git clone"):
        setup(sandbox, git_project.project())


def test_a_clone_of_something_else_is_left_alone(
    sandbox: Sandbox,
    git_project: GitProject,
    make_git_project_here: Callable[..., GitProject],
) -> None:
    setup(sandbox, git_project.project())
    other = make_git_project_here("other").project(name=git_project.name)
    with pytest.raises(RefusedError, match=r"is a clone of .*bucket-brigade.*other"):
        setup(sandbox, other)


def test_a_url_with_a_password_is_refused_without_repeating_it(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    project = git_project.project(repo="https://me:s3cret@localhost/x.git")
    with pytest.raises(RefusedError) as caught:
        setup(sandbox, project)
    assert "s3cret" not in str(caught.value)


def test_without_a_project_there_is_nothing_to_set_up(sandbox: Sandbox) -> None:
    with pytest.raises(ConfigError, match="no project"):
        setup(sandbox, Project())


def test_a_clone_without_an_origin_is_told_how_to_name_one(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=f"{tmp_path} has no remote") as caught:
        setup(sandbox, Project(root=str(tmp_path)))
    assert "git remote add origin URL" in caught.value.hint


@pytest.mark.parametrize(
    ("check", "result", "words"),
    [
        (TorchCheck(version="", works=False, why="", has_gpu=True), "ok", "not installed"),
        (TorchCheck(version="2", works=True, why="", has_gpu=True), "ok", "on the GPU"),
        (TorchCheck(version="2", works=False, why="no CUDA", has_gpu=True), "failed", "no CUDA"),
        (TorchCheck(version="2", works=False, why="no CUDA", has_gpu=True), "failed", "verify = []"),
        (TorchCheck(version="2", works=False, why="", has_gpu=False), "ok", "warning: no GPU"),
    ],
)  # fmt: skip
def test_a_torch_that_cannot_use_a_gpu_that_is_there_fails(
    check: TorchCheck, result: str, words: str
) -> None:
    actual, detail = judge(check)
    assert actual == result
    assert words in detail


def ssh_url(server: SshServer, project: GitProject) -> str:
    """The project's repository, by way of the machine's own sshd as git server."""
    place = f"{server.user}@{server.host}:{server.port}"
    return f"ssh://{place}{project.origin}"


def git_by(server: SshServer, *options: str) -> None:
    """Let git on the machine use ssh with these options, and nobody's own files."""
    command = " ".join(["ssh -F /dev/null -o IdentitiesOnly=yes", *options])
    text = f'[core]\n\tsshCommand = "{command}"\n'
    (server.home / ".gitconfig").write_text(text)


def test_a_git_server_that_is_not_known_there_is_not_asked_about(
    make_sshd: Callable[..., SshServer], git_project: GitProject
) -> None:
    server = make_sshd()
    git_by(server, "-o UserKnownHostsFile=/dev/null")
    project = git_project.project(repo=ssh_url(server, git_project))
    with Sandbox(server.config()) as sandbox, pytest.raises(DeniedError) as caught:
        setup(sandbox, project)
    assert "Host key verification failed" in caught.value.message
    assert "ssh-keyscan" in caught.value.hint


def test_a_repository_without_access_is_denied_and_never_asks(
    make_sshd: Callable[..., SshServer], git_project: GitProject
) -> None:
    server = make_sshd()
    known = f"-o UserKnownHostsFile={server.known_hosts}"
    git_by(server, known, "-o IdentityFile=/dev/null")
    project = git_project.project(repo=ssh_url(server, git_project))
    with Sandbox(server.config()) as sandbox:
        with pytest.raises(DeniedError) as caught:
            setup(sandbox, project)
        assert "Permission denied" in caught.value.message
        assert "deploy key" in caught.value.hint
        assert caught.value.next_steps[0].command == "sandbox-ops setup --via ssh"
        git_by(server, known, f"-o IdentityFile={server.identity_file}")
        assert setup(sandbox, project).ok
