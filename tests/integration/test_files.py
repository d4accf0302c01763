"""Reading lines and bringing files home."""

import hashlib
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sshd import SshServer

from sandbox_ops import Sandbox, files, transfer
from sandbox_ops.errors import (
    ConnectionLostError,
    NotFoundError,
    ProtocolError,
    RefusedError,
    UsageError,
)


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    path = tmp_path / 'it\'s a "file" $(touch hacked);\n.txt'
    path.write_text("".join(f"line {n}\n" for n in range(1, 101)))
    return path


@pytest.mark.parametrize(
    ("offset", "limit", "first", "count"),
    [
        (None, None, 1, 100),
        (1, None, 1, 100),
        (0, 2, 1, 2),
        (99, None, 99, 2),
        (100, 5, 100, 1),
        (101, None, 101, 0),
        (-3, None, 98, 3),
        (-3, 2, 98, 2),
        (-500, None, 1, 100),
        (None, 5, 96, 5),
    ],
)
def test_lines_are_numbered_as_in_the_file(
    shared_sandbox: Sandbox,
    numbered: Path,
    offset: int | None,
    limit: int | None,
    first: int,
    count: int,
) -> None:
    found = files.read_lines(shared_sandbox, str(numbered), offset, limit)
    assert found.first_line == first
    assert found.lines == tuple(f"line {n}" for n in range(first, first + count))
    assert found.total_lines == 100
    assert found.at_end == (first + count > 100)


def test_of_a_big_file_the_end_is_numbered_from_the_end(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "big.log"
    path.write_text("".join(f"{n:020d}\n" for n in range(500_000)))
    tail = files.read_lines(shared_sandbox, str(path), limit=2)
    assert (tail.first_line, tail.total_lines, tail.at_end) == (-2, None, True)
    assert tail.lines == ("00000000000000499998", "00000000000000499999")
    middle = files.read_lines(shared_sandbox, str(path), 400_000, 1)
    assert (middle.first_line, middle.lines, middle.at_end) == (
        400_000,
        ("00000000000000399999",),
        False,
    )


def test_of_a_tail_that_is_too_large_the_end_is_kept(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "wide.log"
    path.write_text("".join(f"{n:0199d}\n" for n in range(20_000)))
    found = files.read_lines(shared_sandbox, str(path), limit=15_000)
    assert (found.cut, found.at_end) == (True, True)
    assert int(found.lines[-1]) == 19_999
    assert found.first_line == 20_001 - len(found.lines)
    assert int(found.lines[0]) == found.first_line - 1


def test_a_line_that_is_too_long_is_given_in_part(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "one-line"
    path.write_text("x" * 3_000_000)
    found = files.read_lines(shared_sandbox, str(path))
    assert (found.cut, len(found.lines), len(found.lines[0])) == (True, 1, 1 << 20)


def test_a_last_line_without_its_newline_is_a_line(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_text("a\nb")
    found = files.read_lines(shared_sandbox, str(path))
    assert (found.lines, found.total_lines, found.at_end) == (("a", "b"), 2, True)


def test_what_is_no_text_file_with_an_end_is_refused(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "binary").write_bytes(b"a\0b")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for path, why in [
        (tmp_path, "is a directory"),
        (tmp_path / "fifo", "not a regular file"),
        (tmp_path / "binary", "is a binary file"),
        (tmp_path / "zero", "not a regular file"),
        (Path("/proc/kmsg"), "made up by the kernel"),
        (Path("/proc/self/environ"), "made up by the kernel"),
    ]:
        with pytest.raises(RefusedError, match=why):
            files.read_lines(shared_sandbox, str(path))


def test_a_missing_file_names_the_nearest_directory(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError) as caught:
        files.read_lines(shared_sandbox, f"{tmp_path}/no/such")
    assert caught.value.hint == f"the nearest directory that exists is {tmp_path}"


def test_a_relative_path_is_refused_with_the_absolute_one(
    shared_sandbox: Sandbox,
) -> None:
    home = shared_sandbox.base.split("/.sandbox-ops/")[0]
    with pytest.raises(RefusedError) as caught:
        files.read_lines(shared_sandbox, "~/logs/a.log")
    assert f"{home}/logs/a.log" in caught.value.hint


def test_a_limit_below_one_is_a_usage_error(shared_sandbox: Sandbox) -> None:
    with pytest.raises(UsageError, match="at least 1"):
        files.read_lines(shared_sandbox, "/etc/passwd", limit=0)


def test_a_range_of_bytes_is_given_as_it_is(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    data = os.urandom(300_000)
    path = tmp_path / "it's $(x)\n"
    path.write_bytes(data)

    def read(offset: int, most: int) -> bytes:
        return files.read_bytes(shared_sandbox, str(path), offset, most)

    assert read(0, 1 << 20) == data
    assert read(1000, 5000) == data[1000:6000]
    assert read(-7, 100) == data[-7:]
    assert read(-1_000_000, 100) == data[:100]
    assert read(len(data), 100) == b""
    with pytest.raises(UsageError, match="max_bytes"):
        read(0, 0)
    with pytest.raises(NotFoundError, match="no such file"):
        files.read_bytes(shared_sandbox, str(tmp_path / "none"))


def test_what_is_known_of_a_path_is_told_without_following_a_link(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "it's $(x)\n"
    path.write_bytes(b"12345")
    path.chmod(0o640)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    (tmp_path / "link").symlink_to(path)
    found = files.stat(shared_sandbox, str(path))
    assert (found.mode, found.size_bytes, found.owner) == (
        stat.S_IFREG | 0o640,
        5,
        os.getuid(),
    )
    assert (found.mtime, found.target) == (1_000_000_000, None)
    link = files.stat(shared_sandbox, str(tmp_path / "link"))
    assert (stat.S_ISLNK(link.mode), link.target) == (True, str(path))
    assert stat.S_ISDIR(files.stat(shared_sandbox, str(tmp_path)).mode)
    assert stat.S_ISDIR(files.stat(shared_sandbox, "/").mode)
    with pytest.raises(NotFoundError, match="no such file"):
        files.stat(shared_sandbox, str(tmp_path / "none"))
    with pytest.raises(RefusedError, match="must be absolute"):
        files.stat(shared_sandbox, "relative")


def test_a_listing_has_sizes_and_checksums_whatever_the_names(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    root = tmp_path / "tree"
    (root / "out/deep").mkdir(parents=True)
    names = ["out/a b", "out/new\nline", "out/deep/é'\"", "out/$(x)", "other"]
    for name in names:
        (root / name).write_text(name)
    found = transfer.listing(
        shared_sandbox, str(root), ["out/", "missing", "../tree"], hashes=True
    )
    assert {f.path for f in found} == set(names[:4])
    for file in found:
        data = (root / file.path).read_bytes()
        assert (file.size_bytes, file.sha256) == (
            len(data),
            hashlib.sha256(data).hexdigest(),
        )
    plain = transfer.listing(shared_sandbox, str(root), ["oth*"])
    assert [(f.path, f.sha256) for f in plain] == [("other", "")]


def test_a_download_is_whole_resumed_and_atomic(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    data = os.urandom(3_000_000)
    remote = tmp_path / "remote file'"
    remote.write_bytes(data)
    local = tmp_path / "home" / "file"
    digest = hashlib.sha256(data).hexdigest()
    local.parent.mkdir()
    local.with_name("file.part").write_bytes(data[:1_000_000])
    seen: list[int] = []
    transfer.download(
        shared_sandbox,
        str(remote),
        local,
        sha256=digest,
        size_bytes=len(data),
        on_progress=lambda done, _: seen.append(done),
    )
    assert local.read_bytes() == data
    assert seen[0] > 1_000_000
    assert not local.with_name("file.part").exists()
    local.with_name("file.part").write_bytes(b"stale")
    transfer.download(
        shared_sandbox, str(remote), local, sha256=digest, size_bytes=len(data)
    )
    assert local.read_bytes() == data


def test_an_upload_is_whole_resumed_and_atomic(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    data = os.urandom(3_000_000)
    local = tmp_path / "local"
    local.write_bytes(data)
    remote = tmp_path / "new dir" / "it's $(there)\n"
    remote.parent.mkdir()
    remote.with_name(remote.name + ".part").write_bytes(data[:2_000_000])
    seen: list[int] = []
    sent = transfer.upload(
        shared_sandbox,
        local,
        str(remote),
        on_progress=lambda done, _: seen.append(done),
    )
    assert remote.read_bytes() == data
    assert seen[0] > 2_000_000
    assert sent.sha256 == hashlib.sha256(data).hexdigest()
    remote.with_name(remote.name + ".part").write_bytes(b"x" * 3_000_000)
    with pytest.raises(ProtocolError, match="checksum"):
        transfer.upload(shared_sandbox, local, str(remote))
    assert remote.read_bytes() == data
    transfer.upload(shared_sandbox, local, str(remote))
    with pytest.raises(RefusedError, match="is a directory"):
        transfer.upload(shared_sandbox, local, str(tmp_path))
    with pytest.raises(NotFoundError, match="no such file here"):
        transfer.upload(shared_sandbox, tmp_path / "nothing", str(remote))


def test_an_upload_that_was_cut_off_leaves_what_was_there_and_goes_on(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    server = make_sshd()
    data = os.urandom(8_000_000)
    local, remote = tmp_path / "local", tmp_path / "remote"
    local.write_bytes(data)
    remote.write_bytes(b"the old one")
    seen: list[int] = []

    def cut(done: int, size: int) -> None:
        seen.append(done)
        if done > size / 2 and len(seen) < 1000:
            seen.extend([0] * 1000)
            for pid in server.session_pids():
                os.kill(pid, signal.SIGKILL)

    with Sandbox(server.config()) as sandbox:
        with pytest.raises(ConnectionLostError, match="Do it again"):
            transfer.upload(sandbox, local, str(remote), on_progress=cut)
        assert remote.read_bytes() == b"the old one"
        begun = remote.with_name("remote.part").stat().st_size
        assert 0 < begun < len(data)
        assert data.startswith(remote.with_name("remote.part").read_bytes())
        first: list[int] = []
        transfer.upload(
            sandbox, local, str(remote), on_progress=lambda done, _: first.append(done)
        )
    assert remote.read_bytes() == data
    assert first[0] > begun
    assert not remote.with_name("remote.part").exists()


def test_files_arrive_whole_although_a_start_up_file_prints(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    server = make_sshd(login_shell="/bin/bash")
    (server.home / ".bashrc").write_text("echo noise; echo more noise >&2\n")
    (tmp_path / "a").write_bytes(b"the content")
    digest = hashlib.sha256(b"the content").hexdigest()
    with Sandbox(server.config()) as sandbox:
        transfer.upload(sandbox, tmp_path / "a", str(tmp_path / "b"))
        transfer.download(
            sandbox, str(tmp_path / "b"), tmp_path / "c", sha256=digest, size_bytes=11
        )
    assert (tmp_path / "c").read_bytes() == b"the content"
