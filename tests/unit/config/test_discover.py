"""Files and git of this machine, with real repositories."""

import os
import subprocess
from pathlib import Path

import pytest

from sandbox_ops.config import discover
from sandbox_ops.config.discover import Settings
from sandbox_ops.config.sources import Origin
from sandbox_ops.errors import ConfigError, RefusedError
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


@pytest.fixture
def own(home: Path) -> Path:
    """The user's own file, not there yet."""
    file = home / ".config" / "sandbox-ops" / "config.toml"
    file.parent.mkdir(parents=True)
    return file


def _settings(cwd: Path, home: Path, **environ: str) -> Settings:
    """What a process in `cwd` finds."""
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
    (clone / "sandbox.toml").write_text(ONE)
    (clone / "a" / "sandbox.toml").mkdir()  # a folder of that name is not the file
    result = _settings(below, home)
    assert result.sandbox_names == ("gpu1",)
    assert result.file == clone / "sandbox.toml"


def test_the_search_ends_at_the_work_tree_or_the_home(clone: Path, home: Path) -> None:
    (home / "sandbox.toml").write_text(ONE)
    (home.parent / "sandbox.toml").write_text(ONE.replace("gpu1", "far"))
    assert _settings(clone, home).file is None
    assert _settings(clone.parent, home).file == home / "sandbox.toml"
    (home / "sandbox.toml").unlink()
    assert _settings(clone.parent, home).file is None


def test_outside_of_both_it_ends_where_others_may_write(home: Path) -> None:
    shared = home.parent / "shared"
    below = shared / "mine" / "deep"
    below.mkdir(parents=True)
    (shared / "sandbox.toml").write_text(ONE)
    assert _settings(below, home).file == shared / "sandbox.toml"
    shared.chmod(0o1777)
    assert _settings(below, home).file is None
    assert _settings(shared, home).file == shared / "sandbox.toml"


@pytest.mark.parametrize("name", ["sandbox.toml", ".mcp.json"])
@pytest.mark.parametrize("mode", [0o666, 0o646])
def test_a_file_that_others_may_write_is_refused(
    mode: int, name: str, clone: Path, home: Path
) -> None:
    (clone / name).write_text("[project]\n" if name == "sandbox.toml" else "{}")
    (clone / name).chmod(mode)
    assert _refused(clone, home) == (
        f"{clone}/{name} is not read: others may write it (mode 0{mode:o})\n"
        f"Check what it says, then: chmod go-w {clone}/{name}"
    )


def test_the_users_own_file_that_others_may_write_is_refused(
    clone: Path, home: Path, own: Path
) -> None:
    own.write_text(ONE)
    own.chmod(0o602)
    assert "others may write it (mode 0602)" in _refused(clone, home)


@pytest.mark.parametrize("name", ["sandbox.toml", ".mcp.json"])
def test_a_file_of_somebody_else_is_refused(name: str, clone: Path, home: Path) -> None:
    (clone / name).write_text("[project]\n" if name == "sandbox.toml" else "{}")
    os.chown(clone / name, 65534, 65534)
    assert _refused(clone, home).startswith(
        f"{clone}/{name} is not read: it belongs to nobody, who could choose machines"
    )


@pytest.mark.parametrize("name", ["sandbox.toml", ".mcp.json"])
def test_what_is_no_plain_file_is_refused_at_once(
    name: str, clone: Path, home: Path
) -> None:
    os.mkfifo(clone / name)
    assert f"{clone}/{name} is not a regular file" in _refused(clone, home)
    (clone / name).unlink()
    (clone / name).symlink_to("/dev/zero")
    assert f"{clone}/{name} is not a regular file" in _refused(clone, home)
    (clone / name).unlink()
    (clone / name).write_text("#" * (2 << 20))
    assert "expected at most 1048576" in _refused(clone, home)


@pytest.mark.parametrize("key", ["known_hosts", "identity_file", "ssh_config"])
def test_a_device_a_fifo_or_a_huge_file_is_no_file_for_ssh(
    key: str, clone: Path, home: Path, own: Path
) -> None:
    os.mkfifo(home / "fifo")
    (home / "huge").write_bytes(b"#" * (3 << 20))
    for path in ("/dev/zero", "~/fifo", "~/huge", "~"):
        own.write_text(f'{ONE}{key} = "{path}"\n')
        assert _refused(clone, home).startswith(f"{own}:3: `sandboxes.gpu1.{key}`: ")
    own.write_text(f'{ONE}{key} = "~/not-there"\n')
    assert getattr(_settings(clone, home).sandbox(), key) == f"{home}/not-there"


def test_a_variable_names_another_file(clone: Path, home: Path) -> None:
    (clone / "sandbox.toml").write_text(ONE)
    (home / "other.toml").write_text('[sandboxes.other]\nhost = "other"\n')
    result = _settings(clone, home, SANDBOX_OPS_CONFIG="~/other.toml")
    assert result.sandbox_names == ("other",)


def test_a_variable_that_names_no_file_is_refused(clone: Path, home: Path) -> None:
    assert _refused(clone, home, SANDBOX_OPS_CONFIG="no.toml") == (
        "environment variable SANDBOX_OPS_CONFIG is 'no.toml': there is no such file\n"
        "Set it to the path of a sandbox.toml, or unset it."
    )


def test_errors_name_the_whole_path_of_the_file(clone: Path, home: Path) -> None:
    (clone / "sandbox.toml").write_text(f"{ONE}prot = 22\n")
    assert _refused(clone, home).startswith(
        f"{clone}/sandbox.toml:3: unknown key `sandboxes.gpu1.prot`: "
    )


def test_a_file_that_is_not_text_is_refused(clone: Path, home: Path) -> None:
    (clone / "sandbox.toml").write_bytes(b"a\xff")
    assert _refused(clone, home) == (
        f"{clone}/sandbox.toml: not UTF-8 text (at byte 1)\nSave it as UTF-8."
    )


def test_without_anything_the_error_says_where_it_was_looked_for(
    clone: Path, home: Path, own: Path
) -> None:
    assert _refused(clone, home).startswith(
        f"no sandbox is configured: {own} describes none, no sandbox.toml in {clone} or "
        f"above it, and SSH_HOST is not set\nWrite these three lines to {own}, with"
    )
    (clone / "sandbox.toml").write_text('[project]\nbranch = "x"\n')
    assert _refused(clone, home).startswith(
        f"no sandbox is configured: {own} describes none, {clone}/sandbox.toml describes "
        "none, and SSH_HOST is not set"
    )


def test_the_users_file_and_the_projects_are_one_configuration(
    clone: Path, home: Path, own: Path
) -> None:
    own.write_text(f'{ONE}identity_file = "key"\nssh_config = "~/conf"\n')
    (clone / "sandbox.toml").write_text('[sandboxes.gpu1]\nworkspace = "/w"\n')
    result = _settings(clone, home)
    assert result.sandbox() == SandboxConfig(
        name="gpu1",
        host="gpu1",
        workspace="/w",
        identity_file=f"{own.parent}/key",
        ssh_config=f"{home}/conf",
    )
    assert result.config.origins_of() == {
        "host": Origin(str(own), 2),
        "identity_file": Origin(str(own), 3),
        "ssh_config": Origin(str(own), 4),
        "workspace": Origin(f"{clone}/sandbox.toml", 2),
    }


def test_the_users_file_lies_where_xdg_config_home_says(
    clone: Path, home: Path, tmp_path: Path
) -> None:
    file = tmp_path / "xdg" / "sandbox-ops" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(ONE)
    result = _settings(clone, home, XDG_CONFIG_HOME=f"{tmp_path}/xdg")
    assert result.sandbox().name == "gpu1"
    assert _settings(clone, home, XDG_CONFIG_HOME="xdg").sandbox_names == ()


def test_a_machine_that_only_a_project_names_is_used_after_one_allow(
    clone: Path, home: Path
) -> None:
    (clone / "sandbox.toml").write_text(ONE)
    result = _settings(clone, home)
    with pytest.raises(RefusedError) as refused:
        result.sandbox()
    assert str(refused.value) == (
        f"{clone}/sandbox.toml:2: `sandboxes.gpu1.host` names the machine gpu1, and only "
        "this project does: you have not allowed it yet\n"
        f"If {clone} may use that machine, say so once, in that folder: "
        "sandbox-ops allow --sandbox gpu1"
    )
    assert result.allow() is not None
    assert result.sandbox().host == "gpu1"
    (remembered,) = (home / ".local/state/sandbox-ops/allowed").iterdir()
    assert remembered.stat().st_mode & 0o777 == 0o600
    (clone / "sandbox.toml").write_text(ONE.replace('"gpu1"', '"gpu1:2222"'))
    with pytest.raises(RefusedError):
        _settings(clone, home).sandbox()
    assert result.allow(forget=True) is not None
    with pytest.raises(RefusedError):
        result.sandbox()


def test_another_project_is_not_allowed_by_it(clone: Path, home: Path) -> None:
    (clone / "sandbox.toml").write_text(ONE)
    _settings(clone, home).allow()
    other = home / "work" / "other"
    other.mkdir()
    (other / "sandbox.toml").write_text(ONE)
    with pytest.raises(RefusedError):
        _settings(other, home).sandbox()


def test_a_machine_of_the_users_own_needs_no_allow(
    clone: Path, home: Path, own: Path
) -> None:
    own.write_text(ONE)
    (clone / "sandbox.toml").write_text('default = "gpu1"\n')
    result = _settings(clone, home)
    assert result.allow() is None
    assert result.sandbox().host == "gpu1"


def test_a_machine_that_the_user_names_needs_no_allow(clone: Path, home: Path) -> None:
    (clone / "sandbox.toml").write_text(f'{ONE}workspace = "/w"\n')
    assert _settings(clone, home).sandbox_at("gpu1").workspace == "/w"
    assert _settings(clone, home).sandbox_at("gpu2").host == "gpu2"


def test_a_file_that_a_variable_names_is_the_users_own_outside_of_work_trees(
    clone: Path, home: Path
) -> None:
    text = f'{ONE}identity_file = "~/.ssh/id"\n'
    (home / "machines.toml").write_text(text)
    named = _settings(clone, home, SANDBOX_OPS_CONFIG="~/machines.toml")
    assert named.sandbox().identity_file == f"{home}/.ssh/id"
    for name in ("machines.toml", "sandbox.toml"):
        (clone / name).write_text(text)
        refusal = _refused(clone, home, SANDBOX_OPS_CONFIG=name)
        assert "identity_file` is not for a project to say" in refusal


@pytest.mark.parametrize("name", [".mcp.json", ".claude/mcp_settings.json"])
def test_the_registration_in_the_projects_root_names_the_machine(
    name: str, clone: Path, home: Path
) -> None:
    file = clone / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(
        '{"mcpServers": {"x": {"command": "sandbox-ops-mcp", "env": '
        '{"SSH_HOST": "me@gpu1", "SSH_PORT": "2222"}}}}'
    )
    below = clone / "below"
    below.mkdir()
    with pytest.raises(RefusedError) as refused:
        _settings(below, home).sandbox()
    assert "names the machine me@gpu1:2222" in refused.value.message
    _settings(below, home).allow()
    assert _settings(below, home).sandbox() == SandboxConfig(
        name="default", host="gpu1", user="me", port=2222
    )
    (clone / "sandbox.toml").write_text(ONE)
    assert _settings(below, home).sandbox_names == ("gpu1",)


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
    assert _settings(clone, home).config.sandbox().host == "gpu1"


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
    result = _settings(clone, home, PATH=str(home), SANDBOX_OPS_REPO="/srv/thing")
    assert (result.project.root, result.project.name) == (None, "thing")


def test_a_clone_that_git_refuses_is_reported_in_its_own_words(
    clone: Path, home: Path
) -> None:
    (clone / ".git" / "config").write_text("[core\n")
    with pytest.raises(ConfigError) as refused:
        _ = _settings(clone, home).project
    # The words between are git's, and differ from version to version.
    assert refused.value.message.startswith(
        f"git does not answer about the clone in {clone}: fatal: bad config"
    )
    assert refused.value.hint == f"See what is wrong: git -C {clone} status"


@pytest.mark.parametrize("url", ["fd::17/foo", "ext::sh -c id", "--upload-pack=x"])
def test_an_origin_that_is_no_url_is_refused_at_once(
    url: str, clone: Path, home: Path
) -> None:
    _git(clone, "config", "remote.origin.url", url)
    with pytest.raises(ConfigError) as refused:
        _ = _settings(clone, home).project
    assert refused.value.message.startswith(f"the origin of the clone in {clone} is ")


def test_a_clone_cannot_put_its_work_tree_into_the_home(
    clone: Path, home: Path
) -> None:
    _git(clone, "config", "core.worktree", str(home))
    with pytest.raises(ConfigError) as refused:
        _ = _settings(clone, home).project
    assert f"has its work tree in {home}" in refused.value.message


def test_a_bare_repository_inside_of_a_clone_is_no_clone(
    clone: Path, home: Path
) -> None:
    embedded = clone / "data.git"
    _git(clone, "init", "--quiet", "--bare", str(embedded))
    assert _settings(embedded, home).project.root is None


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
    clone: Path, home: Path, tmp_path: Path, own: Path
) -> None:
    calls = _counting_git(tmp_path)
    own.write_text(ONE)
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    result = _settings(clone, home, PATH=path)
    result.sandbox()
    assert calls.read_text() == ""
    assert result.project is result.project
    assert len(calls.read_text().splitlines()) == 2
