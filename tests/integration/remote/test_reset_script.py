"""What repo_reset.sh promises: nothing is lost, whatever state a tree is in."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from gitproject import GitProject, make_git_project
from scriptbox import SHELLS, ScriptBox, files, make_script_box

EVERY_BYTE = bytes(range(256)) * 4


@pytest.fixture(params=SHELLS)
def box(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    git_project: GitProject,
    monkeypatch: pytest.MonkeyPatch,
) -> ScriptBox:
    """A cloned project with a few kinds of files."""
    for key, value in {
        "GIT_CONFIG_COUNT": "1",  # git takes submodules from a path only if told to
        "GIT_CONFIG_KEY_0": "protocol.file.allow",
        "GIT_CONFIG_VALUE_0": "always",
    }.items():
        monkeypatch.setenv(key, value)
    (git_project.clone / "logo.png").write_bytes(EVERY_BYTE)
    git_project.git("add", "logo.png")
    git_project.commit({"a file.txt": "one\ntwo\n", ".gitignore": "*.cache\n"})
    git_project.commit({"src/train.py": "print(1)\n"}, push=True)
    box = make_script_box(tmp_path, request.param, git_project)
    box.clone_it()
    return box


def edit(box: ScriptBox) -> None:
    box.write("src/train.py", b"print(2)\r\n\xff\xfe")
    box.write("logo.png", EVERY_BYTE[::-1])
    box.write("README.md", "now a program\n").chmod(0o755)
    (box.clone / "a file.txt").unlink()


def stage(box: ScriptBox) -> None:
    box.write("src/train.py", "staged\n")
    box.write("new.txt", "staged and new\n")
    box.git("add", "-A")
    box.write("src/train.py", "edited after that\n")


def leave_untracked(box: ScriptBox) -> None:
    box.write('new folder/ta\tb "quoted" \\ line\nend é.bin', EVERY_BYTE)
    box.write("script.sh", "#!/bin/sh\n").chmod(0o755)
    box.write("-n", "a name like an option\n")
    (box.clone / "link").symlink_to("nowhere/at all")


def commit_there(box: ScriptBox) -> None:
    box.write("src/train.py", "committed there\n")
    box.git("commit", "-q", "-a", "-m", "Made on the machine")


def detach(box: ScriptBox) -> None:
    box.git("checkout", "-q", "--detach", "HEAD~1")
    box.write("README.md", "edited while detached\n")


def rewrite_upstream(box: ScriptBox) -> None:
    box.project.git("commit", "-q", "--amend", "-m", "Rewritten")
    box.project.commit({"README.md": "rewritten\n"})
    box.project.git("push", "-q", "--force", "origin", "main")


STATES: dict[str, Callable[[ScriptBox], None]] = {
    "edit": edit,
    "staged": stage,
    "untracked": leave_untracked,
    "unpushed": commit_there,
    "detached": detach,
    "force-pushed upstream": rewrite_upstream,
}


@pytest.mark.parametrize("state", STATES)
def test_the_tree_can_be_had_back_byte_for_byte(box: ScriptBox, state: str) -> None:
    STATES[state](box)
    before, head = files(box.clone), box.git("rev-parse", "HEAD")
    staged = box.git("write-tree")
    backup = box.reset()
    assert box.saved(backup) == before
    parents = box.git("rev-parse", f"{backup}^@").split()
    assert parents[0] == head
    assert box.git("rev-parse", f"{parents[1]}^{{tree}}") == staged
    assert files(box.clone) == files(box.project.clone)
    box.git("checkout", backup, "--", ".")
    assert before.items() <= files(box.clone).items()


def test_a_merge_under_way_is_rescued_and_ended(box: ScriptBox) -> None:
    box.git("checkout", "-q", "-b", "side", "HEAD~1")
    box.write("src/train.py", "theirs\n")
    box.write("side.txt", "no conflict\n")
    box.git("add", "-A")
    box.git("commit", "-q", "-m", "Side")
    side = box.git("rev-parse", "side")
    box.git("checkout", "-q", "main")
    with pytest.raises(AssertionError, match="CONFLICT"):
        box.git("merge", "side")
    assert box.look().operation == "merge"
    before = files(box.clone)
    assert b"<<<<<<<" in before["src/train.py"][1]
    backup = box.reset()
    assert box.saved(backup) == before
    assert box.saved(f"{backup}^2")["src/train.py"][1] == b"print(1)\n"
    assert box.git("rev-parse", f"{backup}^3") == side
    assert box.look().operation == ""


def test_a_rebase_under_way_is_rescued_and_ended(box: ScriptBox) -> None:
    box.write("src/train.py", "ours\n")
    box.git("commit", "-q", "-a", "-m", "Ours")
    ours = box.git("rev-parse", "HEAD")
    box.project.commit({"src/train.py": "upstream\n"}, push=True)
    box.git("fetch", "-q")
    with pytest.raises(AssertionError, match="could not apply"):
        box.git("rebase", "origin/main")
    assert box.look().operation == "rebase"
    before = files(box.clone)
    backup = box.reset()
    assert box.saved(backup) == before
    assert ours in box.git("rev-parse", f"{backup}^@").split()
    assert box.look().operation == ""


def test_a_moved_and_edited_submodule_is_rescued(
    box: ScriptBox, make_git_project_here: Callable[..., GitProject]
) -> None:
    part = make_git_project_here("part", files={"part.py": "1\n"})
    box.project.git("submodule", "--quiet", "add", part.url, "lib/part")
    box.project.git("commit", "-q", "-m", "Add a part")
    box.project.push()
    box.sync()
    pinned, inside = part.head, box.clone / "lib/part"
    box.project.git("config", "user.name", "Somebody There", at=inside)
    box.project.git("config", "user.email", "there@example.com", at=inside)
    (inside / "part.py").write_text("2\n")
    box.project.git("commit", "-q", "-a", "-m", "Moved", at=inside)
    moved = box.project.git("rev-parse", "HEAD", at=inside)
    (inside / "part.py").write_text("3\n")
    (inside / "new.py").write_text("4\n")
    before = files(box.clone)
    backup = box.reset()
    assert box.git("ls-tree", backup, "lib/part").split()[2] == moved
    assert box.project.git("rev-parse", "HEAD", at=inside) == pinned
    assert files(box.clone) == files(box.project.clone)
    rescues = box.project.git(
        "for-each-ref", "--format=%(refname)", "refs/sandbox-ops/backup", at=inside
    ).split()
    assert len(rescues) == 1
    box.git("checkout", backup, "--", ".")
    box.git("submodule", "--quiet", "update")
    box.project.git("checkout", rescues[0], "--", ".", at=inside)
    assert before.items() <= files(box.clone).items()


def test_a_clean_tree_at_upstream_needs_no_backup(box: ScriptBox) -> None:
    assert box.reset() == ""
    assert box.git("for-each-ref", "refs/sandbox-ops/backup") == ""


def test_two_rescues_within_a_second_have_two_names(box: ScriptBox) -> None:
    names = set()
    for text in ("one\n", "two\n", "three\n"):
        box.write("README.md", text)
        names.add(box.reset())
    assert len(names) == 3


def test_line_ends_that_git_would_change_are_saved_as_they_are(box: ScriptBox) -> None:
    box.project.commit({".gitattributes": "* text=auto\n"}, push=True)
    box.sync()
    box.write("src/train.py", b"print(1)\r\n")  # for git the same as before
    box.write("notes.txt", b"dos\r\n")
    before = files(box.clone)
    assert box.saved(box.reset()) == before


def test_ignored_files_stay_where_they_are(box: ScriptBox) -> None:
    box.write("deep/in/there/x.cache", "kept")
    box.write("y.cache", "kept")
    assert box.reset() == ""
    assert (box.clone / "deep/in/there/x.cache").read_text() == "kept"


def test_an_ignored_file_that_upstream_has_too_is_rescued(box: ScriptBox) -> None:
    box.write("w.cache", "mine, ignored")
    box.write("models/best.pt", "mine, declared")
    box.project.write({"w.cache": "upstream's", "models/best.pt": "upstream's"})
    box.project.git("add", "-f", "w.cache", "models/best.pt")
    box.project.git("commit", "-q", "-m", "Upstream has them")
    box.project.push()
    saved = box.saved(box.reset("models"))
    assert saved["w.cache"][1] == b"mine, ignored"
    assert saved["models/best.pt"][1] == b"mine, declared"
    assert files(box.clone) == files(box.project.clone)


def test_declared_outputs_are_neither_removed_nor_copied(box: ScriptBox) -> None:
    box.write("models/policy.pt", EVERY_BYTE)
    box.write("runs/1/metrics.json", "{}")
    box.write("runs/1/scratch.txt", "goes")
    box.write("models.txt", "goes too")
    backup = box.reset("models", "runs/*/*.json")
    assert (box.clone / "models/policy.pt").read_bytes() == EVERY_BYTE
    assert (box.clone / "runs/1/metrics.json").exists()
    assert not (box.clone / "runs/1/scratch.txt").exists()
    assert box.saved(backup).keys() - files(box.project.clone).keys() == {
        "runs/1/scratch.txt",
        "models.txt",
    }


def test_edits_of_tracked_files_among_the_outputs_are_rescued_and_stay(
    box: ScriptBox,
) -> None:
    box.project.commit({"models/README": "tracked\n"}, push=True)
    box.sync()
    box.write("models/README", "edited\n")
    assert box.saved(box.reset("models"))["models/README"][1] == b"edited\n"
    assert (box.clone / "models/README").read_bytes() == b"edited\n"


def test_a_file_in_the_way_that_cannot_be_rescued_is_not_replaced(
    box: ScriptBox,
) -> None:
    box.write("data.cache", "an ignored file, where upstream has a folder")
    box.project.write({"data.cache/part.txt": "upstream\n"})
    box.project.git("add", "-f", "data.cache/part.txt")
    box.project.git("commit", "-q", "-m", "A folder")
    box.project.push()
    tip = box.says("repo_fetch", str(box.clone), "main", "").need("tip")
    message = box.refuses("repo_reset", str(box.clone), "main", tip)
    assert "error=refused" in message
    assert "data.cache" in message
    assert (box.clone / "data.cache").read_text().startswith("an ignored file")


def test_a_repository_within_the_tree_stays_whole(box: ScriptBox) -> None:
    inner = make_git_project(box.clone / "vendor", "inner").clone
    box.reset()
    assert (inner / "README.md").read_text() == "# inner\n"


def test_a_linked_work_tree_is_reset_like_any_other(box: ScriptBox) -> None:
    main, linked = box.clone, box.workspace / "linked"
    box.git("checkout", "-q", "--detach")
    box.git("worktree", "add", "-q", str(linked), "main")
    (linked / "README.md").write_text("edited\n")
    (linked / "new.txt").write_text("new\n")
    tip = box.says("repo_fetch", str(linked), "main", "").need("tip")
    reply = box.says("repo_reset", str(linked), "main", tip)
    saved = box.saved(reply.need("backup"))
    assert saved["README.md"][1] == b"edited\n"
    assert saved["new.txt"][1] == b"new\n"
    assert files(linked) == files(box.project.clone)
    assert files(main) == files(box.project.clone)


def test_files_before_the_first_commit_are_rescued(box: ScriptBox) -> None:
    box.git("checkout", "-q", "--orphan", "fresh")
    box.git("branch", "-q", "-D", "main")
    box.git("rm", "-q", "-r", "--cached", ".")
    box.write("README.md", "not committed\n")
    before = files(box.clone)
    backup = box.reset()
    assert box.saved(backup) == before
    assert len(box.git("rev-parse", f"{backup}^@").split()) == 1  # the index


def test_a_held_index_lock_refuses_before_anything_changes(box: ScriptBox) -> None:
    edit(box)
    before = files(box.clone)
    lock = box.clone / ".git/index.lock"
    lock.touch()
    tip = box.git("rev-parse", "HEAD")
    message = box.refuses("repo_reset", str(box.clone), "main", tip)
    assert message.splitlines()[-1] == f"error=refused {lock} is held"
    assert files(box.clone) == before


@pytest.mark.parametrize("most_kib", [1, 8])
def test_no_backup_means_no_reset(box: ScriptBox, most_kib: int) -> None:
    edit(box)
    box.write("large.bin", os.urandom(1 << 16))
    before, tip = files(box.clone), box.git("rev-parse", "HEAD")
    full = f"ulimit -f {2 * most_kib}"  # writes fail beyond it, as on a full disk
    box.refuses("repo_reset", str(box.clone), "main", tip, before=full)
    assert files(box.clone) == before
    assert box.git("for-each-ref", "refs/sandbox-ops/backup") == ""
    assert list((box.clone / ".git").glob("sandbox-ops.*")) == []
