"""put, against a real sshd: whole files, over nothing, from where a lost link ended it."""

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from gitproject import GitProject
from machines import set_up
from mounts import private_mounts
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.errors import DeniedError, NotFoundError, RefusedError, UsageError
from sandbox_ops.models import Project
from sandbox_ops.models.transfers import TransferProgress
from sandbox_ops.workflows.file_choice import FileChoice
from sandbox_ops.workflows.put import put

MakeSshd = Callable[..., SshServer]
NOWHERE = Project()


def workspace(sandbox: Sandbox) -> Path:
    return Path(sandbox.config.workspace)


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


DATA = {
    "a.bin": b"\0\1" * 1000,
    "empty": b"",
    ".hidden/x": b"hidden",
    "deep/er/it's $(x) \xc3\xa9": b"odd name",
    "deep/er/back\\slash": b"sent by itself",
    "deep/er/new\nline": b"that too",
    "-rf": b"no option",
}


def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    local = write(tmp_path / "data", {"a": b"a", "b": b"b"})
    dest = workspace(shared_sandbox) / "piped"
    dest.mkdir()
    os.mkfifo(dest / "b")
    began = time.monotonic()
    with pytest.raises(RefusedError, match="b was made meanwhile"):
        put(shared_sandbox, NOWHERE, path=str(local), dest=str(dest))
    assert time.monotonic() - began < 20
    assert (dest / "b").is_fifo()


def test_a_folder_goes_whole_with_each_checksum(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    local = write(tmp_path / "data", DATA)
    (local / "run.sh").write_text("true")
    (local / "run.sh").chmod(0o755)
    dest = workspace(shared_sandbox) / "whole"
    reports: list[TransferProgress] = []
    report = put(
        shared_sandbox,
        NOWHERE,
        path=str(local),
        dest=str(dest),
        on_progress=reports.append,
    )
    assert report.into == str(dest)
    assert content(dest) == content(local)
    assert os.access(dest / "run.sh", os.X_OK)
    assert not os.access(dest / "a.bin", os.X_OK)
    sums = {file.path: file.sha256 for file in report.files}
    assert sums == {
        path: hashlib.sha256(data).hexdigest() for path, data in content(local).items()
    }
    total = sum(map(len, content(local).values()))
    assert reports[-1].total_done_bytes == reports[-1].total_bytes == total
    assert not list(dest.rglob("*.part*"))
    assert not list(dest.glob(".sandbox-ops*"))


def test_what_is_there_already_is_not_sent_again(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    local = write(tmp_path / "data", DATA)
    dest = workspace(shared_sandbox) / "again"
    put(shared_sandbox, NOWHERE, path=str(local), dest=str(dest))
    inodes = {path: path.stat().st_ino for path in dest.rglob("*")}
    write(local, {"more": b"new"})
    report = put(shared_sandbox, NOWHERE, path=str(local), dest=str(dest))
    assert [file.path for file in report.files if not file.kept] == ["more"]
    assert all(file.sha256 for file in report.files)
    assert {path: path.stat().st_ino for path in inodes} == inodes


def test_files_there_that_differ_are_named_and_nothing_is_sent(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    local = write(tmp_path / "data", {"a": b"ours", "b": b"new", "c/d": b"ours too"})
    dest = write(workspace(shared_sandbox) / "differ", {"a": b"real", "c/d": b"theirs"})
    with pytest.raises(RefusedError) as caught:
        put(shared_sandbox, NOWHERE, path=str(local), dest=str(dest))
    assert caught.value.message == (
        f"files in {dest} differ from those that would go:\n  a\n  c/d"
    )
    assert content(dest) == {"a": b"real", "c/d": b"theirs"}
    put(shared_sandbox, NOWHERE, path=str(local), dest=str(dest), overwrite=True)
    assert content(dest) == content(local)


def test_a_dry_run_says_what_would_go_and_sends_nothing(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    local = write(tmp_path / "data", {"a": b"12345", "b": b"1"})
    dest = workspace(shared_sandbox) / "dry"
    report = put(shared_sandbox, NOWHERE, path=str(local), dest=str(dest), dry_run=True)
    assert report.as_json()["files"] == [
        {"path": "a", "size_bytes": 5, "sha256": ""},
        {"path": "b", "size_bytes": 1, "sha256": ""},
    ]
    assert not dest.exists()


def test_patterns_and_a_size_choose_what_goes(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    files = {"x/a.npy": b"1", "x/b.tmp": b"2", "cache/c.npy": b"3", "big.npy": b"4" * 9}
    local = write(tmp_path / "data", files)
    choice = FileChoice(include=("*.npy",), exclude=("cache",), max_size_bytes=5)
    dest = workspace(shared_sandbox) / "chosen"
    put(shared_sandbox, NOWHERE, path=str(local), dest=str(dest), choice=choice)
    assert content(dest) == {"x/a.npy": b"1"}


def test_in_the_project_a_path_keeps_its_place_and_git_is_not_gone_around(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    git_project.commit({".gitignore": "data/\n"}, push=True)
    place = set_up(sandbox, git_project)
    write(git_project.clone, {"data/x.bin": b"x", "README.md": b"edited"})
    project = place.project
    data = str(git_project.clone / "data")
    report = put(sandbox, project, path=data)
    assert report.warnings == ()
    assert (place.clone / "data/x.bin").read_bytes() == b"x"
    with pytest.raises(RefusedError, match=r"git tracks these files there:\n  README"):
        put(sandbox, project, path=str(git_project.clone / "README.md"), overwrite=True)
    (warning,) = put(sandbox, project, path=data, dest="elsewhere").warnings
    assert "git does not ignore" in warning
    assert ".gitignore" in warning


def test_where_it_goes_must_be_clear_and_below_the_workspace_or_the_home(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    local = write(tmp_path / "data", {"a": b"1"})
    for dest in (
        "",
        "relative",
        "/etc/x",
        "/tmp/../etc",
        str(workspace(shared_sandbox)),
    ):
        with pytest.raises(UsageError):
            put(shared_sandbox, NOWHERE, path=str(local), dest=dest)
    with pytest.raises(NotFoundError, match="no such file or folder here"):
        put(shared_sandbox, NOWHERE, path=str(tmp_path / "none"), dest="~/x")


def test_a_file_and_a_folder_do_not_take_each_others_place(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    local = write(tmp_path / "data", {"a": b"1", "b/c": b"2"})
    top = write(workspace(shared_sandbox) / "types", {"data/b": b"f", "file": b"f"})
    (top / "data/a").mkdir()
    for path, dest, why in [
        (local / "a", top / "data", "is a folder there"),
        (local, top / "file", "is no folder there"),
        (local, top / "file/x", "is a file, and would be a folder"),
        (local, top / "data", "is a f(older|ile), and would be a f(older|ile)"),
    ]:
        with pytest.raises(RefusedError, match=why):
            put(shared_sandbox, NOWHERE, path=str(path), dest=str(dest))
    report = put(
        shared_sandbox,
        NOWHERE,
        path=str(local / "b/c"),
        dest=f"{top}/data/",
        dry_run=True,
    )
    assert report.into == f"{top}/data"


def test_thousands_of_small_files_take_few_sessions(
    make_sshd: MakeSshd, tmp_path: Path
) -> None:
    files = {f"class-{n % 7}/{n}.txt": b"%d" % n for n in range(2000)}
    local = write(tmp_path / "data", files)
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        dest = workspace(sandbox) / "many"
        report = put(sandbox, NOWHERE, path=str(local), dest=str(dest))
        again = put(sandbox, NOWHERE, path=str(local), dest=str(dest))
    assert len(report.files) == 2000
    assert content(dest) == content(local)
    assert all(file.kept for file in again.files)
    assert server.log.count("Starting session") < 15


def test_a_put_goes_on_by_itself_where_a_lost_link_ended_it(
    make_sshd: MakeSshd, tmp_path: Path
) -> None:
    files = {f"{n}.bin": os.urandom(200_000) for n in range(150)}
    local = write(tmp_path / "data", files | {"big.bin": os.urandom(20_000_000)})
    server = make_sshd()
    cuts: list[int] = []

    def cut(now: TransferProgress) -> None:
        if now.total_done_bytes > (5_000_000, 35_000_000, 1 << 60)[len(cuts)]:
            cuts.append(now.total_done_bytes)
            for pid in server.session_pids():
                os.kill(pid, signal.SIGKILL)

    with Sandbox(server.config()) as sandbox:
        dest = workspace(sandbox) / "lost"
        put(sandbox, NOWHERE, path=str(local), dest=str(dest), on_progress=cut)
    assert len(cuts) == 2
    wait_until(lambda: not list(dest.glob(".sandbox-ops-put*")))
    assert content(dest) == content(local)


def test_without_tar_there_files_go_one_by_one(
    make_sshd: MakeSshd, tmp_path: Path
) -> None:
    local = write(tmp_path / "data", DATA)
    with private_mounts() as mounts:
        hidden = tmp_path / "no-tar"
        hidden.write_text("")
        mounts.bind(hidden, Path(shutil.which("tar") or "/bin/tar").resolve())
        server = mounts.do(make_sshd)
        with Sandbox(server.config()) as sandbox:
            dest = workspace(sandbox) / "singly"
            put(sandbox, NOWHERE, path=str(local), dest=str(dest))
    assert content(dest) == content(local)


def test_the_room_there_is_checked_before_anything_is_sent(
    make_sshd: MakeSshd, tmp_path: Path
) -> None:
    with private_mounts() as mounts:
        small = tmp_path / "small"
        mounts.tmpfs(small, "size=1m,nr_inodes=50,mode=777")
        server = mounts.do(make_sshd)
        config = server.config(workspace=str(small))
        big = write(tmp_path / "big", {"x": b"x" * 2_000_000})
        many = write(tmp_path / "many", {str(n): b"" for n in range(100)})
        with Sandbox(config) as sandbox:
            with pytest.raises(
                RefusedError, match=r"are to be sent, and only 1.0 MiB are free"
            ):
                put(sandbox, NOWHERE, path=str(big), dest=f"{small}/big")
            with pytest.raises(
                RefusedError, match=r"100 files are to be sent, .*inodes"
            ):
                put(sandbox, NOWHERE, path=str(many), dest=f"{small}/many")


def test_where_we_may_not_write_it_is_denied(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    local = write(tmp_path / "data", {"a": b"1"})
    closed = workspace(shared_sandbox) / "closed"
    closed.mkdir()
    closed.chmod(0o500)
    if os.access(closed, os.W_OK):
        return  # root may write anywhere
    with pytest.raises(DeniedError, match="may not write"):
        put(shared_sandbox, NOWHERE, path=str(local), dest=f"{closed}/data")


def test_a_rate_is_kept(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    files = {"big": b"x" * 1_000_000, "a": b"y" * 300_000, "b": b"z" * 300_000}
    local = write(tmp_path / "data", files)
    dest = workspace(shared_sandbox) / "slowly"
    began = time.monotonic()
    put(shared_sandbox, NOWHERE, path=str(local), dest=str(dest), bytes_per_s=800_000)
    assert time.monotonic() - began > 1.4, "1.6 MB came at more than 0.8 MB/s"
    assert content(dest) == content(local)
