"""Files and git of this machine, with real repositories."""

import os
import subprocess
from pathlib import Path

import pytest

from sandbox_ops.config import discover
from sandbox_ops.config.discover import Settings
from sandbox_ops.errors import ConfigError
from sandbox_ops.models import SandboxConfig

ONE = '[sandboxes.gpu1]\nhost = "gpu1"\n'


def _git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ("git", "-c", "user.name=me", "-c", "user.email=me@here", *arguments),
        cwd=folder,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def clone(home: Path) -> Path:
    """A clone below the home, with a commit, and an origin that is only a name."""
    folder = home / "work" / "clone"
    folder.mkdir(parents=True)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "commit", "--quiet", "--allow-empty", "--message=first")
    _git(folder, "remote", "add", "origin", "git@github.com:me/bucket-brigade.git")
    return folder


def _settings(cwd: Path, home: Path, **environ: str) -> Settings:
    """What a process in `cwd` finds; tmp_path may lie below somebody's sandbox.toml."""
    path = os.environ["PATH"]
    inherited = {k: v for k, v in os.environ.items() if k.startswith("GIT_CONFIG")}
    return discover.settings(
        cwd, {**inherited, "PATH": path, "HOME": str(home), **environ}
    )


def _refused(cwd: Path, home: Path, **environ: str) -> str:
    with pytest.raises(ConfigError) as refused:
        _settings(cwd, home, **environ).sandbox()
    return str(refused.value)


def test_the_nearest_file_from_the_working_directory_upward_counts(
    clone: Path, home: Path
) -> None:
    below = clone / "a" / "b"
    below.mkdir(parents=True)
    (home / "sandbox.toml").write_text('[sandboxes.far]\nhost = "far"\n')
    (clone / "a" / "sandbox.toml").mkdir()  # a folder of that name is not the file
    assert _settings(below, home).sandbox_names == ("far",)
    (clone / "sandbox.toml").write_text(ONE)
    found = _settings(below, home)
    assert found.sandbox_names == ("gpu1",)
    assert found.file == clone / "sandbox.toml"


def test_a_variable_names_another_file(clone: Path, home: Path) -> None:
    (clone / "sandbox.toml").write_text(ONE)
    (home / "other.toml").write_text('[sandboxes.other]\nhost = "other"\n')
    found = _settings(clone, home, SANDBOX_OPS_CONFIG="~/other.toml")
    assert found.sandbox_names == ("other",)


def test_a_variable_that_names_no_file_is_refused(clone: Path, home: Path) -> None:
    assert _refused(clone, home, SANDBOX_OPS_CONFIG="no.toml") == (
        "environment variable SANDBOX_OPS_CONFIG is 'no.toml': there is no such file\n"
        "Set it to the path of a sandbox.toml, or unset it."
    )


def test_errors_name_the_whole_path_of_the_file(clone: Path, home: Path) -> None:
    (clone / "sandbox.toml").write_text(f"{ONE}prot = 22\n")
    assert _refused(clone, home).startswith(
        f"{clone}/sandbox.toml: unknown key `sandboxes.gpu1.prot`: "
    )


def test_a_file_that_is_not_text_is_refused(clone: Path, home: Path) -> None:
    (clone / "sandbox.toml").write_bytes(b"a\xff")
    assert _refused(clone, home) == (
        f"{clone}/sandbox.toml: not UTF-8 text (at byte 1)\nSave it as UTF-8."
    )


def test_without_anything_the_error_says_where_it_was_looked_for(
    clone: Path, home: Path
) -> None:
    assert _refused(clone, home).startswith(
        f"no sandbox is configured: no sandbox.toml in {clone} or above it, and "
        "SSH_HOST is not set\nWrite these three lines"
    )
    (clone / "sandbox.toml").write_text('[project]\nbranch = "x"\n')
    assert _refused(clone, home).startswith(
        f"no sandbox is configured: {clone}/sandbox.toml describes none, and SSH_HOST"
    )


@pytest.mark.parametrize("name", [".mcp.json", ".claude/mcp_settings.json"])
def test_the_registration_in_the_projects_root_names_the_machine(
    name: str, clone: Path, home: Path
) -> None:
    file = clone / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        '{"mcpServers": {"x": {"command": "sandbox-ops-mcp", "env": '
        '{"SSH_HOST": "me@gpu1", "SSH_PORT": "2222", "SSH_KEY_PATH": "~/.ssh/k"}}}}'
    )
    below = clone / "below"
    below.mkdir()
    assert _settings(below, home).sandbox() == SandboxConfig(
        name="default",
        host="gpu1",
        user="me",
        port=2222,
        identity_file=f"{home}/.ssh/k",
    )
    assert _settings(below, home, SSH_HOST="gpu2").sandbox().host == "gpu2"
    (clone / "sandbox.toml").write_text(ONE)
    assert _settings(below, home).sandbox().port is None


def test_the_first_registration_that_speaks_of_us_counts(
    clone: Path, home: Path
) -> None:
    entry = (
        '{"mcpServers": {"x": {"command": "sandbox-ops-mcp", "env": '
        '{"SSH_HOST": "gpu1"}}}}'
    )
    (clone / ".mcp.json").write_text('{"mcpServers": {}}')
    (clone / ".claude").mkdir()
    (clone / ".claude" / "mcp_settings.json").write_text(entry)
    assert _settings(clone, home).sandbox().host == "gpu1"


def test_paths_become_absolute(clone: Path, home: Path, tmp_path: Path) -> None:
    (clone / "sandbox.toml").write_text(
        f'{ONE}identity_file = "~/.ssh/id"\nknown_hosts = "{tmp_path}/known"\n'
        'ssh_config = "../../conf"\n'
    )
    found = _settings(clone, home).sandbox()
    assert found.identity_file == f"{home}/.ssh/id"
    assert found.known_hosts == f"{tmp_path}/known"
    assert Path(str(found.ssh_config)).resolve() == (home / "conf").resolve()


@pytest.mark.parametrize("key", ["identity_file", "known_hosts", "ssh_config"])
def test_a_path_of_the_file_must_lie_outside_the_work_tree(
    key: str, clone: Path, home: Path
) -> None:
    (clone / "sandbox.toml").write_text(f'{ONE}{key} = "deploy/x"\n')
    assert _refused(clone, home) == (
        f'{clone}/sandbox.toml: `sandboxes.gpu1.{key}` is "deploy/x", which lies inside '
        f"the work tree {clone}: expected a path outside of it, for what a repository "
        "holds is not trusted with keys and hosts\n"
        "Move the file out, to ~/.ssh for one, or name it in the environment: "
        "SANDBOX_OPS_IDENTITY_FILE, SANDBOX_OPS_KNOWN_HOSTS, SANDBOX_OPS_SSH_CONFIG."
    )
    variable = f"SANDBOX_OPS_{key.upper()}"
    found = _settings(clone, home, **{variable: "deploy/x"}).sandbox()
    assert getattr(found, key) == f"{clone}/deploy/x"


def test_no_way_round_leads_back_into_the_work_tree(clone: Path, home: Path) -> None:
    (home / "link").symlink_to(clone)
    for path in (
        "~/link/key",
        "~/work/clone/key",
        "../clone/key",
        f"{home}/work/../link/sub/../key",
        "~/work/clone",
    ):
        (clone / "sandbox.toml").write_text(f'{ONE}ssh_config = "{path}"\n')
        assert "which lies inside the work tree" in _refused(clone, home)
        below = clone / "below"
        below.mkdir(exist_ok=True)
        assert "which lies inside the work tree" in _refused(below, home)
        assert "which lies inside the work tree" in _refused(home / "link", home)


def test_a_registration_is_trusted_no_more_than_the_file(
    clone: Path, home: Path
) -> None:
    (clone / ".mcp.json").write_text(
        '{"mcpServers": {"x": {"command": "sandbox-ops-mcp", "env": '
        '{"SSH_HOST": "gpu1", "SSH_KEY_PATH": "key"}}}}'
    )
    assert "which lies inside the work tree" in _refused(clone, home)
    assert _settings(clone, home, SSH_KEY_PATH="key").sandbox().identity_file == (
        f"{clone}/key"
    )


def test_a_linked_worktree_cannot_point_into_the_main_one(
    clone: Path, home: Path
) -> None:
    linked = home / "linked"
    _git(clone, "worktree", "add", "--quiet", "-b", "side", str(linked))
    (linked / "sandbox.toml").write_text(f'{ONE}ssh_config = "{clone}/evil"\n')
    assert f"the work tree {clone}" in _refused(linked, home)


def test_a_home_that_is_a_repository_is_its_owners(home: Path) -> None:
    _git(home, "init", "--quiet")
    (home / "sandbox.toml").write_text(f'{ONE}identity_file = "~/.ssh/id"\n')
    assert _settings(home, home).sandbox().identity_file == f"{home}/.ssh/id"


def test_the_project_is_what_the_clone_says(clone: Path, home: Path) -> None:
    below = clone / "below"
    below.mkdir()
    project = _settings(below, home).project
    assert project.root == str(clone)
    assert project.repo == "git@github.com:me/bucket-brigade.git"
    assert (project.name, project.branch) == ("bucket-brigade", "main")


def test_what_is_configured_wins_over_the_clone(clone: Path, home: Path) -> None:
    (clone / "sandbox.toml").write_text(
        f'{ONE}[project]\nrepo = "https://example.org/other.git"\nbranch = "dev"\n'
        'outputs = ["models/"]\n'
    )
    project = _settings(clone, home).project
    assert (project.name, project.branch) == ("other", "dev")
    assert project.repo == "https://example.org/other.git"
    assert project.outputs == ("models/",)
    assert project.root == str(clone)


def test_a_branch_named_like_a_tag_or_with_slashes_keeps_its_name(
    clone: Path, home: Path
) -> None:
    _git(clone, "tag", "main")
    assert _settings(clone, home).project.branch == "main"
    _git(clone, "switch", "--quiet", "--create", "a/b")
    assert _settings(clone, home).project.branch == "a/b"


def test_a_detached_head_has_no_branch(clone: Path, home: Path) -> None:
    _git(clone, "checkout", "--quiet", "--detach")
    project = _settings(clone, home).project
    assert (project.root, project.branch) == (str(clone), "")


def test_a_linked_worktree_has_its_own_branch_and_root(clone: Path, home: Path) -> None:
    linked = home / "linked"
    _git(clone, "worktree", "add", "--quiet", "-b", "side", str(linked))
    project = _settings(linked, home).project
    assert (project.root, project.branch) == (str(linked), "side")
    assert project.name == "bucket-brigade"


def test_a_clone_without_commit_and_origin_is_no_error(home: Path) -> None:
    _git(home, "init", "--quiet", "--initial-branch=trunk")
    project = _settings(home, home).project
    assert (project.root, project.branch) == (str(home), "trunk")
    assert (project.repo, project.name) == ("", "")


def test_the_urls_short_forms_of_the_users_git_are_resolved(
    clone: Path, home: Path
) -> None:
    _git(clone, "config", "url.git@github.com:.insteadOf", "gh:")
    _git(clone, "remote", "set-url", "origin", "gh:me/thing")
    project = _settings(clone, home).project
    assert (project.repo, project.name) == ("git@github.com:me/thing", "thing")


def test_a_folder_with_a_line_end_in_its_name_is_a_root(home: Path) -> None:
    folder = home / "a\nb"
    folder.mkdir()
    _git(folder, "init", "--quiet")
    _git(folder, "commit", "--quiet", "--allow-empty", "--message=first")
    assert _settings(folder, home).project.root == str(folder)


def test_outside_of_a_clone_there_is_a_project_without_a_root(home: Path) -> None:
    project = _settings(home, home, SANDBOX_OPS_REPO="/srv/thing.git").project
    assert (project.root, project.name, project.branch) == (None, "thing", "")
    assert _settings(home, home).project.name == ""


def test_inside_the_git_folder_there_is_no_work_tree(clone: Path, home: Path) -> None:
    assert _settings(clone / ".git", home).project.root is None


def test_without_git_there_is_a_project_all_the_same(clone: Path, home: Path) -> None:
    (clone / "sandbox.toml").write_text(f'{ONE}identity_file = "~/.ssh/id"\n')
    found = _settings(clone, home, PATH=str(home), SANDBOX_OPS_REPO="/srv/thing")
    assert found.sandbox().name == "gpu1"
    assert (found.project.root, found.project.name) == (None, "thing")


def test_a_clone_that_git_refuses_is_told_in_its_own_words(
    clone: Path, home: Path
) -> None:
    (clone / ".git" / "config").write_text("[core\n")
    with pytest.raises(ConfigError) as refused:
        _ = _settings(clone, home).project
    # The words between are git's, and differ from version to version.
    assert refused.value.message.startswith(
        f"git does not speak of the clone in {clone}: fatal: bad config"
    )
    assert refused.value.hint == f"See what is wrong: git -C {clone} status"


def _counting_git(folder: Path) -> Path:
    """A git that notes each call, and then is the real one."""
    calls = folder / "calls"
    real = subprocess.run(
        ("sh", "-c", "command -v git"), check=True, capture_output=True, text=True
    ).stdout.strip()
    fake = folder / "bin" / "git"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\necho "$*" >> {calls}\nexec {real} "$@"\n')
    fake.chmod(0o755)
    calls.touch()
    return calls


def test_a_sandbox_asks_no_git_and_the_project_asks_twice_once(
    clone: Path, home: Path, tmp_path: Path
) -> None:
    calls = _counting_git(tmp_path)
    (clone / "sandbox.toml").write_text(f'{ONE}identity_file = "~/.ssh/id"\n')
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    found = _settings(clone, home, PATH=path)
    found.sandbox()
    assert calls.read_text() == ""
    assert found.project is found.project
    assert len(calls.read_text().splitlines()) == 2
