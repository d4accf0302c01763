"""A clone with a configuration of its own making: nothing of it runs on this computer.

Each attack is a program that leaves a file behind; git is the real one.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from gitproject import GitProject
from waiting import wait_until

from sandbox_ops.config import discover
from sandbox_ops.errors import DeniedError, SandboxError, TimedOutError
from sandbox_ops.git import local, runner


@pytest.fixture
def proof(tmp_path: Path) -> Path:
    """What an attack leaves behind, if it runs."""
    return tmp_path / "it-ran"


@pytest.fixture
def program(tmp_path: Path, proof: Path) -> Path:
    """A program that leaves the proof."""
    file = tmp_path / "attack"
    file.write_text(f"#!/bin/sh\ntouch {proof}\nexit 1\n")
    file.chmod(0o755)
    return file


def _all_that_sync_does(project: GitProject) -> None:
    """What a sync with a push asks of the local git; the attack may make it fail."""
    try:
        tree = local.look(str(project.clone), "main")
        upstream = local.compare(tree, project.project())
        local.push(tree, upstream.remote)
    except SandboxError:
        pass


def _touch_all(clone: Path) -> None:
    """Make git read every file again."""
    for file in clone.iterdir():
        if file.is_file():
            file.write_bytes(file.read_bytes())


@pytest.mark.parametrize(
    "setting",
    [
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "core.askPass",
        "core.alternateRefsCommand",
        "core.gitProxy",
        "diff.external",
        "diff.x.textconv",
        "diff.x.command",
        "filter.x.clean",
        "filter.x.process",
        "filter.x.smudge",
        "gpg.program",
        "remote.origin.uploadpack",
        "remote.origin.receivepack",
        "credential.helper",
        "gc.recentObjectsHook",
        "merge.x.driver",
        "alias.status",
    ],
)
def test_no_program_that_a_clone_names_runs(
    setting: str, git_project: GitProject, program: Path, proof: Path
) -> None:
    git_project.write({".gitattributes": "* filter=x diff=x merge=x\n"})
    git_project.git("add", ".")
    git_project.git("commit", "-q", "-m", "Attributes")
    git_project.git("config", "log.showSignature", "true")
    git_project.git("config", "push.gpgSign", "if-asked")
    git_project.git("config", setting, str(program))
    _touch_all(git_project.clone)
    _all_that_sync_does(git_project)
    assert not proof.exists()


@pytest.mark.parametrize("where", ["clone", "hooksPath", "origin"])
@pytest.mark.parametrize(
    "hook",
    [
        "pre-push",
        "post-index-change",
        "reference-transaction",
        "pre-auto-gc",
        "pre-receive",
        "update",
        "post-receive",
        "post-update",
    ],
)
def test_no_hook_runs(
    hook: str, where: str, git_project: GitProject, program: Path, proof: Path
) -> None:
    git_project.commit({"new": "x"})
    folder = {
        "clone": git_project.clone / ".git" / "hooks",
        "hooksPath": git_project.clone / "hooks",
        "origin": git_project.origin / "hooks",
    }[where]
    folder.mkdir(exist_ok=True)
    (folder / hook).write_text(program.read_text())
    (folder / hook).chmod(0o755)
    if where == "hooksPath":
        git_project.git("config", "core.hooksPath", "hooks")
        git_project.git("config", "--file", f"{git_project.origin}/config", "x.y", "z")
    _all_that_sync_does(git_project)
    assert not proof.exists()
    assert git_project.git("ls-remote", "origin", "main").startswith(git_project.head)


@pytest.mark.parametrize(
    "url",
    ["ext::{program} x", "fd::17/foo", "x::y", "ssh://-oProxyCommand={program}/x"],
)
def test_no_transport_of_a_clone_runs(
    url: str, git_project: GitProject, program: Path, proof: Path
) -> None:
    git_project.git("config", "protocol.allow", "always")
    git_project.git(
        "config", f"url.{url.format(program=program)}.insteadOf", "git@github.com:"
    )
    git_project.git("remote", "set-url", "origin", "git@github.com:me/x")
    _all_that_sync_does(git_project)
    assert not proof.exists()


def test_an_ssh_command_of_the_clone_is_not_used_and_the_user_is_warned(
    git_project: GitProject, program: Path, proof: Path
) -> None:
    git_project.git("config", "core.sshCommand", str(program))
    git_project.git("remote", "set-url", "origin", "ssh://me@127.0.0.1:1/x")
    tree = local.look(str(git_project.clone), "main")
    with pytest.raises(SandboxError) as refused:
        local.compare(tree, git_project.project())
    assert "git config --global core.sshCommand" in refused.value.hint
    assert not proof.exists()


def test_an_ssh_command_of_the_users_own_is_used(
    git_project: GitProject,
    program: Path,
    proof: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = tmp_path / "gitconfig"
    git_project.git("config", "--file", str(own), "core.sshCommand", str(program))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(own))
    git_project.git("remote", "set-url", "origin", "ssh://me@127.0.0.1:1/x")
    _all_that_sync_does(git_project)
    assert proof.exists()


def test_a_filter_of_the_clone_is_named_with_the_way_out(
    git_project: GitProject, program: Path
) -> None:
    git_project.git("config", "filter.x.clean", str(program))
    with pytest.raises(DeniedError) as refused:
        local.look(str(git_project.clone))
    assert "sets filter.x.clean" in refused.value.message
    assert "git config --global filter.x.clean" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filter.lfs.clean", "git-lfs clean -- %f"),
        ("filter.lfs.smudge", "git-lfs smudge --skip -- %f"),
        ("filter.lfs.process", "git-lfs filter-process"),
        ("credential.helper", "store"),
        ("core.fsmonitor", "true"),
        ("core.hooksPath", ".husky/_"),
        ("http.sslVerify", "true"),
    ],
)
def test_what_common_tools_write_into_a_clone_is_no_hindrance(
    name: str, value: str, git_project: GitProject
) -> None:
    git_project.git("config", name, value)
    tree = local.look(str(git_project.clone))
    assert local.compare(tree, git_project.project()).tip == git_project.head


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filter.lfs.clean", "git-lfs clean -- %f; touch x"),
        ("credential.helper", "!touch x"),
        ("credential.https://github.com.helper", "store --file=/x"),
        ("http.sslVerify", "false"),
        ("http.https://github.com.sslCAInfo", "/x"),
        ("http.saveCookies", "true"),
        ("lfs.customtransfer.x.path", "/x"),
        ("lfs.extension.x.clean", "/x"),
        ("remote.origin.vcs", "ext"),
    ],
)
def test_what_would_run_a_program_or_weaken_a_check_is_refused(
    name: str, value: str, git_project: GitProject
) -> None:
    git_project.git("config", name, value)
    with pytest.raises(DeniedError):
        local.look(str(git_project.clone))


def _submodule(project: GitProject, make: Callable[..., GitProject]) -> Path:
    inner = make("inner", files={"file": "x"})
    project.git(
        "-c", "protocol.file.allow=always", "submodule", "add", "-q", inner.url, "sub"
    )
    project.git("commit", "-q", "-m", "Add a submodule")
    return project.clone / "sub"


@pytest.mark.parametrize("setting", ["core.fsmonitor", "filter.x.clean"])
@pytest.mark.parametrize("gitmodules", [True, False])
def test_nothing_of_a_submodule_runs(
    gitmodules: bool,
    setting: str,
    git_project: GitProject,
    make_git_project_here: Callable[..., GitProject],
    program: Path,
    proof: Path,
) -> None:
    submodule = _submodule(git_project, make_git_project_here)
    (submodule / ".gitattributes").write_text("* filter=x\n")
    git_project.git("config", setting, str(program), at=submodule)
    if not gitmodules:
        git_project.git("rm", "-q", "--cached", ".gitmodules")
        (git_project.clone / ".gitmodules").unlink()
    _touch_all(submodule)
    _all_that_sync_does(git_project)
    assert not proof.exists()


def test_an_edit_in_a_submodule_is_seen(
    git_project: GitProject, make_git_project_here: Callable[..., GitProject]
) -> None:
    submodule = _submodule(git_project, make_git_project_here)
    (submodule / "file").write_text("changed")
    assert local.look(str(git_project.clone)).edits


def test_a_bare_repository_inside_of_a_clone_is_not_entered(
    git_project: GitProject, program: Path, proof: Path
) -> None:
    embedded = git_project.clone / "data"
    git_project.git("init", "-q", "--bare", str(embedded))
    git_project.git("config", "core.bare", "false", at=embedded)
    git_project.git("config", "core.worktree", str(git_project.clone), at=embedded)
    git_project.git("config", "core.fsmonitor", str(program), at=embedded)
    with pytest.raises(SandboxError):
        local.look(str(embedded))
    assert not proof.exists()
    project = discover.settings(embedded, {"HOME": str(git_project.clone.parent)})
    assert project.project.root is None


def test_a_git_that_hangs_is_ended_with_its_children(
    git_project: GitProject, tmp_path: Path
) -> None:
    """The one that waits is a real ssh: of the user's own configuration."""
    pid = tmp_path / "pid"
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 60\n")
    slow.chmod(0o755)
    with pytest.raises(TimedOutError):
        runner.run(
            git_project.clone,
            *("ls-remote", "ssh://me@127.0.0.1:1/x"),
            ssh=str(slow),
            timeout_s=2,
        )
    process = Path("/proc") / pid.read_text().strip()
    wait_until(lambda: not process.exists() or "(zombie)" in _status(process))


def _status(process: Path) -> str:
    try:
        return (process / "status").read_text()
    except OSError:
        return "(zombie)"
