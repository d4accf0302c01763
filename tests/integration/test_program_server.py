"""The program as tests call it: where it is forked elsewhere, it still sees the test's disks."""

from pathlib import Path

from command_line import cli
from mounts import private_mounts


def test_a_call_from_a_mount_namespace_sees_what_is_mounted_there(
    tmp_path: Path,
) -> None:
    assert cli("--version", cwd=tmp_path).returncode == 0
    with private_mounts() as mounts:
        mounts.tmpfs(tmp_path / "disk", "size=1m")
        folder = tmp_path / "disk" / "only-there"
        mounts.do(folder.mkdir)
        assert mounts.do(lambda: cli("--version", cwd=folder)).returncode == 0
    assert not folder.exists()
