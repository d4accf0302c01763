"""Reading lines and bringing files home."""

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sshd import SshServer

from sandbox_ops import Sandbox
from sandbox_ops.errors import (
    ConnectionLostError,
    NotFoundError,
    ProtocolError,
    RefusedError,
    UsageError,
)
from sandbox_ops.machine import files, listing, transfer
from sandbox_ops.remote import scripts

SHELLS = [("dash",), ("bash",), ("busybox", "sh")]
READ_SH = Path(scripts.__file__).with_name("lib") / "read.sh"
OPENING = "".join(
    READ_SH.with_name(f"{name}.sh").read_text() for name in ("facts", "opened", "read")
)


def printed(shell: tuple[str, ...], text: str, path: str) -> bytes:
    """Return what a shell prints that runs the text with the tools of that PATH."""
    done = subprocess.run(
        [str(shutil.which(shell[0])), *shell[1:], "-c", text],
        env={"PATH": path},
        capture_output=True,
        check=False,
        timeout=20,
    )
    return done.stdout


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
    result = files.read_lines(shared_sandbox, str(numbered), offset, limit)
    assert result.first_line == first
    assert result.lines == tuple(f"line {n}" for n in range(first, first + count))
    assert result.total_lines == 100
    assert result.at_end == (first + count > 100)


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
    result = files.read_lines(shared_sandbox, str(path), limit=15_000)
    assert (result.cut, result.at_end) == (True, True)
    assert int(result.lines[-1]) == 19_999
    assert result.first_line == 20_001 - len(result.lines)
    assert int(result.lines[0]) == result.first_line - 1


def test_a_line_that_is_too_long_is_given_in_part(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "one-line"
    path.write_text("x" * 3_000_000)
    result = files.read_lines(shared_sandbox, str(path))
    assert (result.cut, len(result.lines), len(result.lines[0])) == (True, 1, 1 << 20)


def test_a_last_line_without_its_newline_is_a_line(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "f"
    path.write_text("a\nb")
    result = files.read_lines(shared_sandbox, str(path))
    assert (result.lines, result.total_lines, result.at_end) == (("a", "b"), 2, True)


BIG = 9 << 20
"""Above 8 MiB the lines of a file are not counted."""


def big_lines() -> list[str]:
    """Return the lines of a big file: long ones, empty ones, and one for grep."""
    lines = [f"{n} " + "x" * (n % 400) if n % 7 else "" for n in range(60_000)]
    lines[100] = "a line begins after me:^"
    assert sum(map(len, lines)) > BIG
    return lines


def test_pages_of_a_big_file_follow_each_other_without_gap_or_overlap(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    lines = big_lines()
    for end in ("\n", ""):
        path = tmp_path / f"big{len(end)}.log"
        path.write_text("\n".join(lines) + end)
        for offset, limit in [(1, 30_000), (50_000, 3_000), (59_990, 3)]:
            at = offset - 1
            while True:
                result = files.read_lines(sandbox, str(path), at + 1, limit)
                assert result.first_line == at + 1
                assert result.lines == tuple(lines[at : at + len(result.lines)])
                at += len(result.lines)
                if result.at_end:
                    break
                assert result.cut or len(result.lines) == limit
            assert at == len(lines)


def test_the_next_page_of_a_big_file_is_not_searched_for(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "big.log"
    path.write_text("".join(f"{n:099d}\n" for n in range(100_000)))
    files.read_lines(sandbox, str(path), 90_001, 10)
    with path.open("r+") as file:  # who counts from the beginning goes wrong now
        file.write("\n" * 100)
    result = files.read_lines(sandbox, str(path), 90_011, 10)
    assert [int(line) for line in result.lines] == list(range(90_010, 90_020))


@pytest.mark.parametrize("change", ["rotated", "cut", "rewritten", "gone on"])
def test_a_page_is_of_the_file_as_it_is_now(
    sandbox: Sandbox, tmp_path: Path, change: str
) -> None:
    path = tmp_path / "big.log"
    lines = [f"{n:099d}" for n in range(100_000)]
    path.write_text("\n".join(lines) + "\n")
    assert files.read_lines(sandbox, str(path), 99_991, 10).at_end
    if change == "rotated":  # the end is where it was, and so is what is before it
        lines = ["", "x" * 98, *lines[1:], "more"]
        (tmp_path / "new").write_text("\n".join(lines) + "\n")
        (tmp_path / "new").replace(path)
    elif change == "cut":
        lines = lines[:7]
        path.write_text("\n".join(lines) + "\n")
    elif change == "rewritten":
        lines = [f"{n:0101d}" for n in range(100_000, 200_001)]
        path.write_text("\n".join(lines) + "\n")
    else:
        lines += ["more", "and more"]
        with path.open("a") as file:
            file.write("more\nand more\n")
    result = files.read_lines(sandbox, str(path), 100_001, 10)
    assert result.lines == tuple(lines[100_000:])
    assert result.size_bytes == path.stat().st_size


@pytest.mark.parametrize("shell", SHELLS)
def test_a_line_is_found_by_any_shell_with_any_grep(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    lines = [line.encode() for line in big_lines()]
    path = tmp_path / "big.log"
    path.write_bytes(b"\n".join(lines) + b"\n")
    busy, other = tmp_path / "busybox", tmp_path / "other"
    busy.mkdir()
    for tool in ("grep", "head", "tail"):
        (busy / tool).symlink_to(str(shutil.which("busybox")))
    other.mkdir()
    (other / "grep").write_text(  # it reads more than it counts
        "#!/bin/sh\n"
        'case $1 in -q) exec /usr/bin/env PATH=/usr/bin:/bin grep "$@" ;; esac\n'
        "cat >/dev/null; echo 1\n"
    )
    (other / "grep").chmod(0o755)
    usual = os.environ["PATH"]
    for offset in (1, 2, 101, 102, 30_000, 59_999, 60_001, 70_000):
        at = len(b"".join(line + b"\n" for line in lines[: offset - 1]))
        page = b"".join(line + b"\n" for line in lines[offset - 1 : offset + 2])
        inode, size = path.stat().st_ino, path.stat().st_size
        for tools, known in (
            (usual, at),
            (f"{busy}:{usual}", at),
            (f"{other}:{usual}", "" if offset > 1 else 0),
        ):
            text = (
                f"LIBRARY='{READ_SH}'\n{OPENING}\n"
                'trailer() { echo "<$1>"; }\n'
                f"do_read '{path}' {offset} 2 1000000 ''"
            )
            output = f"<lines size={size} inode={inode} total= at={known}>\n"
            assert printed(shell, text, tools) == page + output.encode()


def test_a_file_in_shared_memory_is_read_like_others(shared_sandbox: Sandbox) -> None:
    with tempfile.NamedTemporaryFile("w", dir="/dev/shm") as file:
        file.write("in memory\n")
        file.flush()
        result = files.read_lines(shared_sandbox, file.name)
    assert result.lines == ("in memory",)


def test_a_binary_file_is_refused_wherever_its_page_is(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"x" * 5000 + b"\0\n" + b"text\n" * 10_000)
    for offset, limit in [(None, None), (5_000, 10), (None, 10), (-10, 5)]:
        with pytest.raises(RefusedError, match="is a binary file"):
            files.read_lines(shared_sandbox, str(path), offset, limit)


def test_what_is_no_text_file_with_an_end_is_refused(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "binary").write_bytes(b"a\0b")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "file").symlink_to("/proc/self/auxv")
    (tmp_path / "folder").symlink_to("/sys/kernel")
    for path, why in [
        (tmp_path, "is a directory"),
        (tmp_path / "fifo", "not a regular file"),
        (tmp_path / "binary", "is a binary file"),
        (tmp_path / "zero", "not a regular file"),
        (Path("/proc/kmsg"), "made up by the kernel"),
        (Path("/tmp/../proc/kmsg"), "made up by the kernel"),
        (tmp_path / "file", "is a binary file"),
        (Path("/proc/self/auxv"), "is a binary file"),
    ]:
        with pytest.raises(RefusedError, match=why):
            files.read_lines(shared_sandbox, str(path))
    assert not list(Path(shared_sandbox.base).glob("read.*"))


def test_finite_files_of_the_kernel_can_be_read(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "folder").symlink_to("/sys/kernel")
    number = Path("/sys/kernel/uevent_seqnum").read_text("utf-8").strip()
    for path, line in [
        ("/proc/cpuinfo", "processor\t: 0"),
        ("/proc/version", Path("/proc/version").read_text("utf-8").strip()),
        (f"{tmp_path}/folder/uevent_seqnum", number),
        ("/sys/class/net/lo/address", "00:00:00:00:00:00"),
    ]:
        result = files.read_lines(shared_sandbox, path)
        assert result.lines[0] == line
        assert result.at_end
    assert files.read_bytes(shared_sandbox, "/proc/version").startswith(b"Linux")
    assert not list(Path(shared_sandbox.base).glob("read.*"))


def test_a_missing_file_names_the_nearest_directory(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(NotFoundError) as caught:
        files.read_lines(shared_sandbox, f"{tmp_path}/no/such")
    assert f"\nthe nearest directory that exists is {tmp_path}" in caught.value.message
    assert caught.value.hints == ()


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


def test_what_is_known_of_a_path_is_reported_without_following_a_link(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    path = tmp_path / "it's $(x)\n"
    path.write_bytes(b"12345")
    path.chmod(0o640)
    os.utime(path, (1_000_000_000, 1_000_000_000))
    (tmp_path / "link").symlink_to(path)
    result = files.stat(shared_sandbox, str(path))
    assert (result.mode, result.size_bytes, result.owner) == (
        stat.S_IFREG | 0o640,
        5,
        os.getuid(),
    )
    assert (result.mtime, result.target) == (1_000_000_000, None)
    link = files.stat(shared_sandbox, str(tmp_path / "link"))
    assert (stat.S_ISLNK(link.mode), link.target) == (True, str(path))
    assert stat.S_ISDIR(files.stat(shared_sandbox, str(tmp_path)).mode)
    assert stat.S_ISDIR(files.stat(shared_sandbox, "/").mode)
    with pytest.raises(NotFoundError, match="no such file"):
        files.stat(shared_sandbox, str(tmp_path / "none"))
    with pytest.raises(RefusedError, match="must be absolute"):
        files.stat(shared_sandbox, "relative")


def test_a_listing_has_sizes_whatever_the_names(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    root = tmp_path / "tree"
    (root / "out/deep").mkdir(parents=True)
    names = ["out/a b", "out/new\nline", "out/deep/é'\"", "out/$(x)", "other"]
    for name in names:
        (root / name).write_text(name)
    collected = listing.files(shared_sandbox, str(root), ["out/", "missing", "../tree"])
    assert {f.path: f.size_bytes for f in collected} == {
        name: len(name.encode()) for name in names[:4]
    }
    plain = listing.files(shared_sandbox, str(root), ["oth*"])
    assert [f.path for f in plain] == ["other"]
    with pytest.raises(NotFoundError, match="no such directory"):
        listing.files(shared_sandbox, f"{root}/nowhere", ["*"])


def test_checksums_are_of_as_much_as_is_asked_whatever_the_names(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    sizes = {}
    for name, size in [("a b", 5), ("new\nline", 0), ("-n", 100_000), ("$(x)'", 7)]:
        (tmp_path / name).write_bytes(b"x" * 100_000)
        sizes[str(tmp_path / name)] = size
    sizes[str(tmp_path / "missing")] = 3
    collected = listing.checksums(shared_sandbox, sizes)
    assert list(collected) == list(sizes)
    assert collected.pop(str(tmp_path / "missing")) == ""
    for path, checksum in collected.items():
        assert checksum == hashlib.sha256(b"x" * sizes[path]).hexdigest()
    assert listing.checksums(shared_sandbox, {}) == {}


def test_a_download_is_whole_resumed_and_atomic(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    data = os.urandom(3_000_000)
    remote = tmp_path / "remote file'"
    remote.write_bytes(data)
    local = tmp_path / "home" / "file"
    part = transfer.part_of(local)
    local.parent.mkdir()
    digest = hashlib.sha256(data).hexdigest()
    seen: list[int] = []
    for before in (data[:1_000_000], data, b"stale", data[::-1], data * 2, b""):
        part.write_bytes(before)
        seen.clear()
        got = transfer.download(
            shared_sandbox,
            str(remote),
            local,
            size_bytes=len(data),
            on_progress=lambda done, _: seen.append(done),
        )
        assert got == digest
        assert local.read_bytes() == data
        assert not part.exists()
        local.unlink()
        if before == data[:1_000_000]:
            assert seen[0] > 1_000_000
            assert seen == sorted(seen)  # it went on, and did not begin again
            assert seen[-1] == len(data)


def test_an_empty_file_comes_too(shared_sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    local = tmp_path / "home"
    got = transfer.download(
        shared_sandbox, str(tmp_path / "empty"), local, size_bytes=0
    )
    assert (got, local.read_bytes()) == (hashlib.sha256(b"").hexdigest(), b"")


def test_of_a_log_that_grows_as_much_comes_as_was_listed(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 500_000)
    local = tmp_path / "home"
    transfer.download(shared_sandbox, str(log), local, size_bytes=300_000)
    assert local.read_bytes() == b"x" * 300_000


def test_a_file_that_became_shorter_or_went_is_refused_and_leaves_nothing(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "short").write_bytes(b"x" * 100)
    for name in ("short", "gone"):
        with pytest.raises(ProtocolError, match="cannot be read to the length"):
            transfer.download(
                shared_sandbox,
                str(tmp_path / name),
                tmp_path / "home" / name,
                size_bytes=200,
            )
    assert list((tmp_path / "home").iterdir()) == []


def test_a_link_in_the_place_of_the_part_is_not_followed(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "remote").write_bytes(b"new")
    (tmp_path / "precious").write_bytes(b"")
    transfer.part_of(tmp_path / "home").symlink_to(tmp_path / "precious")
    transfer.download(
        shared_sandbox, str(tmp_path / "remote"), tmp_path / "home", size_bytes=3
    )
    assert (tmp_path / "precious").read_bytes() == b""
    assert (tmp_path / "home").read_bytes() == b"new"
    assert not (tmp_path / "home").is_symlink()


def test_a_download_goes_on_by_itself_where_a_lost_link_ended_it(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    server = make_sshd()
    data = os.urandom(30_000_000)
    (tmp_path / "remote").write_bytes(data)
    local = tmp_path / "home"
    cut_at: list[int] = []
    after: list[int] = []

    def cut(done: int, _: int) -> None:
        if cut_at:
            after.append(done)
        elif done > 5_000_000:
            cut_at.append(done)
            for pid in server.session_pids():
                os.kill(pid, signal.SIGKILL)

    with Sandbox(server.config()) as sandbox:
        remote = str(tmp_path / "remote")
        transfer.download(sandbox, remote, local, size_bytes=len(data), on_progress=cut)
    assert min(after) > 5_000_000, "it began again"
    assert local.read_bytes() == data


@pytest.mark.slow
def test_a_download_from_a_machine_that_is_gone_ends_and_can_go_on_later(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    server = make_sshd()
    data = os.urandom(30_000_000)
    (tmp_path / "remote").write_bytes(data)
    local = tmp_path / "home"
    resumed: list[int] = []
    off: list[int] = []

    def switch_off(done: int, _: int) -> None:
        if done > 5_000_000 and not off:
            off.append(done)
            server.stop()

    with Sandbox(server.config()) as sandbox:
        remote, size = str(tmp_path / "remote"), len(data)
        with pytest.raises(ConnectionLostError) as caught:
            transfer.download(
                sandbox, remote, local, size_bytes=size, on_progress=switch_off
            )
        assert "it goes on where it stopped" in caught.value.hint
        assert not local.exists()
        have = transfer.received_bytes(local)
        assert 5_000_000 < have < size
        server.start()
        transfer.download(
            sandbox,
            remote,
            local,
            size_bytes=size,
            on_progress=lambda done, _: resumed.append(done),
        )
    assert resumed[0] > have
    assert local.read_bytes() == data


def test_files_come_although_the_server_allows_one_session(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"the content")
    with Sandbox(make_sshd(max_sessions=1).config()) as sandbox:
        assert sandbox.run("true").ok  # the worker has the session
        transfer.upload(sandbox, tmp_path / "a", str(tmp_path / "b"))
        transfer.download(sandbox, str(tmp_path / "b"), tmp_path / "c", size_bytes=11)
        assert sandbox.run("true").ok
    assert (tmp_path / "c").read_bytes() == b"the content"


@pytest.mark.parametrize("shell", SHELLS)
def test_a_piece_is_the_same_with_or_without_a_dd_that_counts_bytes(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    data = os.urandom(200_000)
    (tmp_path / "a b").write_bytes(data)
    old = tmp_path / "bin"
    old.mkdir()
    (old / "dd").write_text("#!/bin/sh\necho 'unknown operand' >&2; exit 1\n")
    (old / "dd").chmod(0o755)
    busy = tmp_path / "busybox"
    busy.mkdir()
    for tool in ("dd", "head", "tail"):
        (busy / tool).symlink_to(str(shutil.which("busybox")))
    usual = os.environ["PATH"]
    for path in (usual, f"{old}:{usual}", f"{busy}:{usual}"):
        for start, most in [(0, 9), (3, 70_001), (1, 10**9), (200_000, 5), (10**9, 5)]:
            text = f"{OPENING}\nsend_range {start} {most} <'{tmp_path}/a b'"
            assert printed(shell, text, path) == data[start : start + most]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_file_is_sent_with_its_checksum_by_any_shell_with_or_without_openssl(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    data = os.urandom(100_000)
    (tmp_path / "a b").write_bytes(data)
    bare = tmp_path / "bin"
    bare.mkdir()
    for tool in ("head", "tail", "sha256sum", "stat"):
        (bare / tool).symlink_to(str(shutil.which(tool)))
    digest = hashlib.sha256(data).hexdigest()
    for path in (os.environ["PATH"], str(bare)):
        for have in (0, 7, 100_000):
            text = scripts.script(
                "file_send", "mark", str(have), "100000", str(tmp_path / "a b")
            )
            sent = printed(shell, text, path)
            facts = f"{digest} 100000 {int((tmp_path / 'a b').stat().st_mtime)}\n"
            assert sent == b"\nmark\n" + data[have:] + facts.encode()


def part_of(remote: Path) -> Path:
    """Return what has come of an upload, in its folder, which is made."""
    folder = remote.with_name(f"{remote.name}.part")
    folder.mkdir(mode=0o700)
    return folder / "data"


def test_an_upload_is_whole_resumed_and_atomic(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    data = os.urandom(3_000_000)
    local = tmp_path / "local"
    local.write_bytes(data)
    remote = tmp_path / "new dir" / "it's $(there)\n"
    remote.parent.mkdir()
    part_of(remote).write_bytes(data[:2_000_000])
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
    remote.unlink()
    part_of(remote).write_bytes(b"x" * 1_000_000)
    transfer.upload(shared_sandbox, local, str(remote))  # a part of something else
    assert remote.read_bytes() == data
    with pytest.raises(RefusedError, match="is a directory"):
        transfer.upload(shared_sandbox, local, str(tmp_path))
    with pytest.raises(NotFoundError, match="no such file here"):
        transfer.upload(shared_sandbox, tmp_path / "nothing", str(remote))


def test_an_upload_goes_on_by_itself_where_a_lost_link_ended_it(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    server = make_sshd()
    data = os.urandom(30_000_000)
    local, remote = tmp_path / "local", tmp_path / "remote"
    local.write_bytes(data)
    remote.write_bytes(b"the old one")
    cut_at: list[int] = []
    after: list[int] = []

    def cut(done: int, _: int) -> None:
        assert remote.read_bytes() == b"the old one"
        if cut_at:
            after.append(done)
        elif done > 15_000_000:
            cut_at.append(done)
            for pid in server.session_pids():
                os.kill(pid, signal.SIGKILL)

    with Sandbox(server.config()) as sandbox:
        transfer.upload(sandbox, local, str(remote), on_progress=cut)
    assert min(after) > 5_000_000, "it began again"
    assert remote.read_bytes() == data
    assert not list(tmp_path.glob("remote.part*"))


@pytest.mark.slow
def test_an_upload_to_a_machine_that_is_gone_ends_and_can_go_on_later(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    server = make_sshd()
    data = os.urandom(30_000_000)
    local, remote = tmp_path / "local", tmp_path / "remote"
    local.write_bytes(data)
    off: list[int] = []

    def switch_off(done: int, _: int) -> None:
        if done > 15_000_000 and not off:
            off.append(done)
            server.stop()

    with Sandbox(server.config()) as sandbox:
        with pytest.raises(ConnectionLostError, match="goes on where it stopped"):
            transfer.upload(sandbox, local, str(remote), on_progress=switch_off)
        part = remote.with_name("remote.part") / "data"
        begun = part.stat().st_size
        assert 0 < begun < len(data)
        assert data.startswith(part.read_bytes())
        assert not remote.exists()
        server.start()
        resumed: list[int] = []
        transfer.upload(
            sandbox,
            local,
            str(remote),
            on_progress=lambda done, _: resumed.append(done),
        )
    assert resumed[0] > begun
    assert remote.read_bytes() == data


@pytest.mark.parametrize("shell", SHELLS)
def test_what_a_lost_link_still_delivers_does_not_corrupt_the_resumed_upload(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    data = os.urandom(100_000)
    digest, path = hashlib.sha256(data).hexdigest(), tmp_path / "file"
    words = ("mark", "100000", str(path), "644", "replace")
    text = scripts.script("file_take", *words)
    # the one that lost its link has it open, and writes when the next has begun
    with part_of(path).open("ab") as late:
        late.write(data[:40_000])
        late.flush()
        with subprocess.Popen(
            [*shell, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as taking:
            assert taking.stdin is not None
            assert taking.stdout is not None
            assert taking.stdout.readline() == b"\n"
            assert taking.stdout.readline() == b"mark\n"
            assert taking.stdout.readline() == b"40000\n"
            late.write(data[40_000:50_000])
            late.flush()
            taking.stdin.write(data[40_000:])
            taking.stdin.flush()
            assert taking.stdout.readline() == f"sum={digest}\n".encode()
            taking.stdin.write(b"take\n")
            taking.stdin.close()
            assert taking.stdout.read() == b"ok\n"
    assert path.read_bytes() == data


def test_files_arrive_whole_although_a_start_up_file_prints(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    server = make_sshd(login_shell="/bin/bash")
    (server.home / ".bashrc").write_text("echo noise; echo more noise >&2\n")
    (tmp_path / "a").write_bytes(b"the content")
    with Sandbox(server.config()) as sandbox:
        transfer.upload(sandbox, tmp_path / "a", str(tmp_path / "b"))
        transfer.download(sandbox, str(tmp_path / "b"), tmp_path / "c", size_bytes=11)
    assert (tmp_path / "c").read_bytes() == b"the content"
