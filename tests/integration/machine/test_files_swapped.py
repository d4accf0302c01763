"""A neighbour swaps a file for a pipe or a link while we read or write there."""

import itertools
import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import processes
import pytest
from guards import guard
from slow import slow
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.errors import DeniedError, NotFoundError, RefusedError, SandboxError
from sandbox_ops.machine import files, listing, transfer
from sandbox_ops.remote import scripts

SHELLS = [("dash",), ("bash",), ("busybox", "sh")]
LIBRARY = Path(scripts.__file__).with_name("lib")
READS = [6, pytest.param(20, marks=pytest.mark.soak)]
MOST = 60
"""Reads, until one found a file."""
LIMIT_S = 5
"""A read of ours: a second until it gives up, and what a busy machine takes."""


@pytest.fixture
def server(make_sshd: Callable[..., SshServer]) -> SshServer:
    return make_sshd()


@contextmanager
def opened(server: SshServer) -> Iterator[Sandbox]:
    """Give a sandbox; afterwards nothing that it started there may be left."""
    with Sandbox(server.config()) as sandbox:
        yield sandbox
    wait_until(
        lambda: not processes.carrying(f"HOME={server.home}"),
        10,
        what="the end of all that was started on the machine",
    )


def swap_for_ever(path: str, other: str) -> None:
    """Put a file and a pipe in each other's place, as fast as it goes; 60 s at most."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        os.link(other, f"{path}.file")
        Path(f"{path}.file").replace(path)
        os.mkfifo(f"{path}.pipe")
        Path(f"{path}.pipe").replace(path)


@pytest.fixture
def swapped(tmp_path: Path) -> Iterator[Path]:
    """A path that is a file and a pipe by turns."""
    other, path = tmp_path / "other", tmp_path / "shared"
    other.write_text("text\n")
    path.write_text("text\n")
    context = multiprocessing.get_context("spawn")
    racer = context.Process(target=swap_for_ever, args=(str(path), str(other)))
    racer.start()
    wait_until(lambda: not path.is_file(), 30, every_s=0.001)
    yield path
    racer.kill()
    racer.join()


READERS: dict[str, Callable[[Sandbox, Path], object]] = {
    "lines": lambda sandbox, path: files.read_lines(sandbox, str(path)),
    "a page": lambda sandbox, path: files.read_lines(sandbox, str(path), 2, 10),
    "bytes": lambda sandbox, path: files.read_bytes(sandbox, str(path)),
    "a checksum": lambda sandbox, path: listing.checksums(sandbox, {str(path): 5}),
    "a download": lambda sandbox, path: transfer.download(
        sandbox, str(path), path.with_name("got"), size_bytes=5
    ),
}


@guard(
    "a neighbour swaps a file for a pipe between our check and our opening it",
    "a second later it is refused; nothing waits on, and no process is left",
)
@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize(
    "reader", ["a page", "a download", *slow("lines", "bytes", "a checksum")]
)
def test_no_read_waits_where_a_file_becomes_a_pipe(
    reader: str, reads: int, swapped: Path, server: SshServer
) -> None:
    ends = set()
    with opened(server) as sandbox:
        sandbox.run("true")
        for number in itertools.count():
            if number >= reads and ("read" in ends or number >= MOST):
                break
            began = time.monotonic()
            try:
                READERS[reader](sandbox, swapped)
                ends.add("read")
            except SandboxError as error:
                ends.add(error.kind)
            assert time.monotonic() - began < LIMIT_S
    assert ends <= {"read", "refused", "not-found", "protocol"}
    assert "read" in ends


@pytest.mark.parametrize("reader", ["a checksum", "a download"])
def test_a_pipe_that_was_listed_as_a_file_is_not_waited_for(
    reader: str, tmp_path: Path, server: SshServer
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with opened(server) as sandbox:
        began = time.monotonic()
        with suppress(SandboxError):
            assert READERS[reader](sandbox, tmp_path / "pipe") == {
                str(tmp_path / "pipe"): ""
            }
        assert time.monotonic() - began < 2 * LIMIT_S


@pytest.mark.parametrize("shell", SHELLS, ids=lambda each: each[0])
def test_what_opens_no_file_in_a_second_is_killed_by_any_shell(
    shell: tuple[str, ...], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("text\n")
    text = (
        f"{(LIBRARY / 'facts.sh').read_text()}\n"
        f"for name in pipe file none; do with_opened {tmp_path}/$name cat /proc/self/fd/8"
        " || echo $name: no; done"
    )
    done = subprocess.run(
        [*shell, "-c", text], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout == "pipe: no\ntext\nnone: no\n"


PLANTS: dict[str, Callable[[Path, Path], object]] = {
    "a link to a file": lambda part, precious: part.symlink_to(precious),
    "a link to nothing": lambda part, precious: part.symlink_to(f"{precious}.new"),
    "a link to a folder": lambda part, precious: part.symlink_to(precious.parent),
    "a pipe": lambda part, _: os.mkfifo(part),
    "a file": lambda part, _: part.write_text("what an old version left"),
    "a folder for all": lambda part, _: subprocess.check_call(
        ["mkdir", "-m", "777", part]
    ),
}


@guard(
    "a neighbour plants a link, a pipe or a folder where an upload keeps what has come",
    "it is removed or refused: no byte goes through it, and nothing waits",
)
@pytest.mark.parametrize("plant", PLANTS)
def test_an_upload_writes_through_nothing_that_was_planted(
    plant: str, tmp_path: Path, server: SshServer
) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    own.mkdir(mode=0o700)
    precious, secret = own / "authorized_keys", own / "data"
    for file in (precious, secret, tmp_path / "local"):
        file.write_text(f"{file.name}\n")
    PLANTS[plant](shared / "up.part", precious)
    with opened(server) as sandbox:
        local, remote = tmp_path / "local", shared / "up"
        if "folder" in plant:
            with pytest.raises(DeniedError, match="is not a folder of ours alone"):
                transfer.upload(sandbox, local, str(remote))
        else:
            transfer.upload(sandbox, local, str(remote))
            assert remote.read_text() == "local\n"
            assert not (shared / "up.part").exists()
    assert precious.read_text() == "authorized_keys\n"
    assert secret.read_text() == "data\n"
    assert sorted(path.name for path in own.iterdir()) == ["authorized_keys", "data"]


def test_what_was_uploaded_has_the_mode_that_the_machine_gives(
    tmp_path: Path, server: SshServer
) -> None:
    (tmp_path / "local").write_text("x")
    with opened(server) as sandbox:
        transfer.upload(sandbox, tmp_path / "local", str(tmp_path / "new" / "there"))
    assert (tmp_path / "new" / "there").stat().st_mode & 0o777 == 0o644
    with opened(server) as sandbox, pytest.raises((RefusedError, NotFoundError)):
        files.read_lines(sandbox, str(tmp_path / "new"))
