"""The other git scripts, on real repositories, by every shell a machine may have."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from gitproject import GitProject
from scriptbox import SHELLS, ScriptBox, files, make_script_box

from sandbox_ops.git import explanations
from sandbox_ops.machine import environment


@pytest.fixture(params=SHELLS)
def box(
    request: pytest.FixtureRequest, tmp_path: Path, git_project: GitProject
) -> ScriptBox:
    """A machine without the clone yet."""
    git_project.commit({"src/train.py": "print(1)\n", ".gitignore": "*.cache\n"})
    git_project.push()
    return make_script_box(tmp_path, request.param, git_project)


def place(box: ScriptBox) -> str:
    return str(box.clone)


# -- clone ------------------------------------------------------------------------


def test_a_clone_stands_at_the_commit_of_its_branch(box: ScriptBox) -> None:
    assert box.clone_it() == box.project.head
    assert files(box.clone) == files(box.project.clone)
    tree = box.look()
    assert (tree.branch, tree.head, tree.url) == (
        "main",
        box.project.head,
        box.project.url,
    )
    assert os.listdir(box.workspace) == [box.project.name]  # noqa: PTH208


def test_without_a_branch_it_is_the_servers(box: ScriptBox) -> None:
    box.says("repo_clone", place(box), box.project.url, "")
    assert box.look().branch == "main"


def test_a_branch_that_is_not_there_is_named(box: ScriptBox) -> None:
    message = box.refuses("repo_clone", place(box), box.project.url, "feature")
    assert explanations.explain(message).kind == "not-found"
    assert "feature" in message
    assert list(box.workspace.iterdir()) == []


def test_a_repository_that_is_not_there_leaves_nothing(box: ScriptBox) -> None:
    message = box.refuses(
        "repo_clone", place(box), "file:///nowhere/at/all.git", "main"
    )
    assert explanations.explain(message).kind == "not-found"
    assert list(box.workspace.iterdir()) == []


def test_a_workspace_that_cannot_be_made_is_named_with_the_cure(
    box: ScriptBox, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    message = box.refuses("repo_clone", f"{tmp_path}/file/w/x", box.project.url, "main")
    assert f"error=denied root cannot create the workspace {tmp_path}/file/w" in message
    assert "hint_code=make-workspace\n" in message


def test_a_machine_without_git_is_reported(box: ScriptBox, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    subprocess.run(["busybox", "--install", "-s", tools], check=True)
    for script in (
        ("repo_clone", place(box), box.project.url, "main"),
        ("repo_facts", place(box), "main"),
    ):
        message = box.refuses(*script, before=f"PATH={tools}")
        assert message == (
            "hint_code=install-git\n"
            "error=not-found git is not installed on the machine\n"
        )


def test_a_name_with_a_shell_in_it_is_only_a_name(box: ScriptBox) -> None:
    for name in ("main; touch /tmp/ours", "--upload-pack=touch /tmp/ours", "$(id)"):
        box.refuses("repo_clone", place(box), box.project.url, name)
        box.refuses("repo_clone", place(box), name, "main")
    assert not Path("/tmp/ours").exists()


# -- facts ------------------------------------------------------------------------


def test_an_absent_folder_and_another_folder_are_not_taken_for_a_clone(
    box: ScriptBox,
) -> None:
    facts = ("repo_facts", place(box), "main")
    assert box.says(*facts).need("clone") == "no"
    box.clone.mkdir(parents=True)
    assert box.says(*facts).need("clone") == "no"
    box.write("notes.txt", "not ours")
    assert box.says(*facts).need("clone") == "other"


def test_a_folder_within_another_repository_is_not_taken_for_it(box: ScriptBox) -> None:
    box.workspace.mkdir()
    box.project.git("init", "-q", at=box.workspace)
    box.write(".git", "gitdir: /nowhere")
    assert "error=denied" in box.refuses("repo_facts", place(box), "main")


def test_edits_untracked_files_and_commits_are_listed(box: ScriptBox) -> None:
    box.clone_it()
    box.write("src/train.py", "print(2)\n")
    box.git("commit", "-q", "-a", "-m", "Made = there")
    box.write("src/train.py", "print(3)\n")
    box.write("new é\n.txt", "")
    tree = box.look()
    assert tree.edits == (" M src/train.py",)
    assert tree.untracked == ("new é\n.txt",)
    assert [line[8:] for line in tree.unpushed] == ["Made = there"]


def test_looking_takes_no_lock(box: ScriptBox) -> None:
    box.clone_it()
    lock = box.clone / ".git/index.lock"
    lock.touch()
    assert box.look().lock == str(lock)


def test_thousands_of_untracked_files_are_cut_short(box: ScriptBox) -> None:
    box.clone_it()
    for number in range(1500):
        (box.clone / f"f{number}").touch()
    box.write("src/train.py", "edited\n")
    reply = box.says("repo_facts", place(box), "main")
    assert len(reply.all("status")) == 1000
    assert int(reply.need("status_lines")) > 1500
    assert box.look().edits == (" M src/train.py",)


# -- fetch, check out, settle -----------------------------------------------------


def test_a_sync_brings_new_changed_renamed_and_deleted_files(box: ScriptBox) -> None:
    box.project.commit({"old.txt": "moves\n", "gone.txt": "goes\n"}, push=True)
    box.clone_it()
    box.project.git("mv", "old.txt", "new.txt")
    box.project.git("rm", "-q", "gone.txt")
    box.project.commit({"src/train.py": "print(2)\n"}, push=True)
    assert box.sync() == ""
    assert files(box.clone) == files(box.project.clone)


def test_a_detached_head_is_put_on_its_branch_again(box: ScriptBox) -> None:
    box.clone_it()
    box.git("checkout", "-q", "--detach", "HEAD~1")
    box.sync()
    assert box.look().branch == "main"


def test_another_branch_is_left_for_the_right_one(box: ScriptBox) -> None:
    box.clone_it()
    box.git("checkout", "-q", "-b", "other")
    box.project.commit({"src/train.py": "print(2)\n"}, push=True)
    box.sync()
    assert box.look().branch == "main"


def test_a_rewritten_upstream_keeps_the_old_commit_in_a_ref(box: ScriptBox) -> None:
    old = box.clone_it()
    box.project.git("commit", "-q", "--amend", "-m", "Rewritten")
    box.project.git("push", "-q", "--force", "origin", "main")
    assert box.git("rev-parse", box.sync()) == old
    assert box.look().unpushed == ()


def test_what_was_synced_is_not_unpushed_after_a_rewrite(box: ScriptBox) -> None:
    box.clone_it()
    box.project.git("commit", "-q", "--amend", "-m", "Rewritten")
    box.project.git("push", "-q", "--force", "origin", "main")
    box.git("fetch", "-q")
    assert box.look().unpushed == ()


@pytest.mark.parametrize("name", ["results.txt", "ignored.cache"])
def test_a_file_in_the_way_of_an_incoming_one_is_named(
    box: ScriptBox, name: str
) -> None:
    box.clone_it()
    box.write(name, "made there")
    box.project.write({name: "upstream's"})
    box.project.git("add", "-f", name)
    box.project.git("commit", "-q", "-m", "Collide")
    box.project.push()
    before, head = box.look().head or "", box.project.head
    box.says("repo_fetch", place(box), "main", head)
    message = box.refuses("repo_checkout", place(box), "main", head, before)
    assert f"item={name}\n" in message
    assert (
        "error=refused files there that are edited, or that git does not know, are"
        in message
    )
    assert (box.clone / name).read_text() == "made there"
    assert box.look().head == before


def test_a_commit_that_is_not_on_the_branch_is_refused(box: ScriptBox) -> None:
    box.clone_it()
    head = box.project.commit({"src/train.py": "not pushed\n"})
    message = box.refuses("repo_fetch", place(box), "main", head)
    assert f"error=refused commit {head} is not on main of file://" in message


def test_a_head_that_moved_meanwhile_is_not_moved_again(box: ScriptBox) -> None:
    head = box.clone_it()
    message = box.refuses("repo_checkout", place(box), "main", head, "0" * 40)
    assert "error=refused somebody moved HEAD" in message


def test_submodules_follow_the_commit(
    box: ScriptBox,
    make_git_project_here: Callable[..., GitProject],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.file.allow")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "always")
    box.clone_it()
    part = make_git_project_here("part", files={"part.py": "1\n"})
    box.project.git("submodule", "--quiet", "add", part.url, "lib/part")
    box.project.git("commit", "-q", "-m", "Add a part")
    box.project.push()
    box.sync()
    part.commit({"part.py": "2\n"}, push=True)
    box.project.git("pull", "-q", at=box.project.clone / "lib/part")
    box.project.git("commit", "-q", "-a", "-m", "Move the part")
    box.project.push()
    box.sync()
    assert files(box.clone) == files(box.project.clone)


def test_a_large_file_that_stayed_a_pointer_is_named(
    box: ScriptBox, tmp_path: Path
) -> None:
    box.clone_it()
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    box.project.commit(
        {
            ".gitattributes": "*.pt filter=lfs diff=lfs merge=lfs -text\n",
            "models/a b.pt": pointer,
            "docs/lfs.md": pointer,
        },
        push=True,
    )
    before, head = box.look().head or "", box.project.head
    box.says("repo_fetch", place(box), "main", head)
    box.says("repo_checkout", place(box), "main", head, before)
    no_lfs = tmp_path / "no-lfs"
    no_lfs.mkdir()
    (no_lfs / "git-lfs").write_text("#!/bin/sh\nexit 127\n")
    (no_lfs / "git-lfs").chmod(0o755)
    message = box.refuses(
        "repo_settle", place(box), head, before=f"PATH={no_lfs}:$PATH; export PATH"
    )
    assert "item=models/a b.pt\n" in message
    assert "docs/lfs.md" not in message
    assert "hint_code=install-git-lfs\n" in message


def test_a_tree_that_is_not_the_commit_is_not_called_so(box: ScriptBox) -> None:
    head = box.clone_it()
    box.write("src/train.py", "edited\n")
    assert "item= M src/train.py" in box.refuses("repo_settle", place(box), head)


def test_a_patch_makes_the_commit_into_the_work_tree(
    box: ScriptBox, tmp_path: Path
) -> None:
    box.clone_it()
    box.write("src/train.py", "edited\n")
    box.write(".gitignore", bytes(range(256)))
    patch = tmp_path / "p"
    patch.write_text(box.run("repo_patch", place(box)).stdout)
    box.project.git("apply", str(patch))
    assert files(box.project.clone) == files(box.clone)


def test_the_server_is_asked_without_a_clone(box: ScriptBox) -> None:
    ask = ("repo_access", box.project.url)
    assert box.says(*ask, "main").need("tip") == box.project.head
    assert box.says(*ask, "").need("tip") == box.project.head
    assert box.says(*ask, "feature").get("tip") == ""
    box.clone_it()
    from_clone = box.says("repo_access", "origin", "main", place(box))
    assert from_clone.need("tip") == box.project.head


# -- environment, logs, digests ---------------------------------------------------


def look_at_environment(box: ScriptBox, *more: str) -> environment.Environment:
    record, *files = more or ("no",)
    reply = box.says("env_look", place(box), "plan", record, "", *files)
    return environment.environment(reply, ("true",), "box")


def test_the_fingerprint_follows_what_the_environment_depends_on(
    box: ScriptBox,
) -> None:
    box.clone_it()
    first = look_at_environment(box)
    assert not first.recorded
    assert look_at_environment(box, "yes").fingerprint == first.fingerprint
    assert look_at_environment(box).recorded == first.fingerprint
    box.write("src/train.py", "edited\n")
    assert look_at_environment(box).fingerprint == first.fingerprint
    box.write("uv.lock", "version = 1\n")
    assert look_at_environment(box).fingerprint != first.fingerprint
    named = look_at_environment(box, "no", "src/train.py", "no such file")
    assert named.fingerprint != look_at_environment(box).fingerprint
    assert box.look().untracked == ("uv.lock",)


def test_what_we_put_into_a_tree_is_not_seen_by_git(box: ScriptBox) -> None:
    box.clone_it()
    exclude = box.clone / ".git/info/exclude"
    exclude.write_text("# no line end")
    assert box.says("log_link", place(box)).need("changed") == "yes"
    assert box.says("log_link", place(box)).need("changed") == "no"
    box.says("log_link", place(box), "night run", "/job/1/log")
    box.says("log_link", place(box), "night run", "/job/2/log")
    assert (box.clone / "logs/night run.log").readlink() == Path("/job/2/log")
    assert look_at_environment(box).has_logs
    assert box.look().untracked == ()
    assert exclude.read_text().splitlines() == [
        "# no line end", "/logs/", "/.venv/", "/.conda/", "/runs/remote-*/",
    ]  # fmt: skip


def test_a_log_that_the_project_keeps_itself_is_not_replaced(box: ScriptBox) -> None:
    box.clone_it()
    box.write("logs/a.log", "the project's")
    assert "is a file of its own" in box.refuses("log_link", place(box), "a", "/log")
    assert (box.clone / "logs/a.log").read_text() == "the project's"


def test_torch_that_is_not_installed_is_no_failure(box: ScriptBox) -> None:
    box.clone_it()
    assert box.says("env_verify", place(box)).all("torch") == ("",)


def test_the_doctor_looks_at_the_machine(box: ScriptBox) -> None:
    reply = box.says("doctor_look", str(box.workspace))
    assert (reply.need("there"), reply.need("git")[:4]) == ("no", "git ")
    box.workspace.mkdir()
    assert box.says("doctor_look", str(box.workspace)).need("writable") == "yes"
    assert list(box.workspace.iterdir()) == []
