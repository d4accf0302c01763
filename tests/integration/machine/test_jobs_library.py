"""The shell library on the machine runs as us: it has to be ours, and what its name says."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from sshd import SshServer

from sandbox_ops import Sandbox
from sandbox_ops.errors import DeniedError
from sandbox_ops.remote import scripts

Make = Callable[..., SshServer]
MALLORY = 65534


def plant(server: SshServer, folder: Path) -> tuple[Path, Path]:
    """Put a library of another's where ours would be; return it, and what it would write."""
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
    name = next((server.home / ".sandbox-ops" / "lib").iterdir()).name
    folder.mkdir(parents=True, exist_ok=True)
    planted, proof = folder / name, server.home / "proof"
    planted.write_text(f"echo pwned >{proof}\n")
    return planted, proof


def test_the_library_is_kept_under_its_hash(make_sshd: Make) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        assert (
            sandbox.run("sha256sum ~/.sandbox-ops/lib/*")
            .stdout.text.split()[0]
            .startswith(next((server.home / ".sandbox-ops/lib").iterdir()).stem)
        )
        first = next((server.home / ".sandbox-ops/lib").iterdir()).stat().st_mtime_ns
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
    again = next((server.home / ".sandbox-ops/lib").iterdir())
    assert again.read_text() == scripts.library()
    assert again.stat().st_mtime_ns == first  # it is sent once


def test_a_planted_folder_of_another_user_is_refused_and_nothing_of_it_runs(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    root = server.home / ".sandbox-ops"
    planted, proof = plant(server, root / "lib")
    for path in (planted, root / "lib", root):
        os.chown(path, MALLORY, MALLORY)
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(DeniedError, match="belongs to another user"),
    ):
        sandbox.run("true")
    assert not proof.exists()


@pytest.mark.parametrize("owner", [0, MALLORY])
@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_a_planted_library_is_replaced_and_does_not_run(
    make_sshd: Make, owner: int, mode: int
) -> None:
    server = make_sshd()
    planted, proof = plant(server, server.home / ".sandbox-ops" / "lib")
    os.chown(planted, owner, owner)
    planted.chmod(mode)
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("echo fine").stdout.text == "fine\n"
    assert not proof.exists()
    assert planted.read_text() == scripts.library()


def test_a_library_that_others_may_write_is_replaced(make_sshd: Make) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
    library = next((server.home / ".sandbox-ops" / "lib").iterdir())
    library.chmod(0o666)
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
    assert library.stat().st_mode & 0o077 == 0


def test_a_folder_that_is_a_link_is_refused_and_nothing_behind_it_runs(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd()
    _, proof = plant(server, tmp_path / "elsewhere")
    lib = server.home / ".sandbox-ops" / "lib"
    for file in lib.iterdir():
        file.unlink()
    lib.rmdir()
    lib.symlink_to(tmp_path / "elsewhere")
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(DeniedError, match="lib is a symbolic link"),
    ):
        sandbox.run("true")
    assert not proof.exists()
