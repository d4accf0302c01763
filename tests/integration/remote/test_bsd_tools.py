"""What stands in for GNU's tools where there is no /proc answers as they do here."""

import os
import subprocess
from pathlib import Path

import pytest

from sandbox_ops.remote import scripts

PROGRAM = Path(scripts.__file__).with_name("lib") / f"{scripts.BSD}.pl"
CALLS = {
    "stat of many": "stat -c '%s %i %u %f %Y %n' a 'b c' none",
    "stat of a link": "stat -c '%f %s' link; stat -L -c '%f %s' link; stat -Lc '%i %s' link",
    "stat to a hundredth": "stat -c %.2Y a",
    "stat of stdin": "stat -L -c '%s %i' - <a",
    "sha256sum": "sha256sum a 'b c' none; sha256sum <a",
    "sha256sum of odd names": "sha256sum 'new\nline' 'back\\slash'",
    "sums that are right": "sha256sum a 'new\nline' >sums; sha256sum -c sums >/dev/null",
    "a sum that is wrong": "sha256sum a >sums; echo x >a; sha256sum -c sums >/dev/null 2>&1",
    "dd of a pipe": "cat a | { dd bs=1000 count=1 iflag=fullblock 2>/dev/null; wc -c; }",
    "dd of bytes": "dd bs=64 iflag=skip_bytes,count_bytes skip=7 count=100 <a 2>/dev/null",
    "dd behind the end": "dd bs=64 iflag=skip_bytes,count_bytes skip=99999 count=9 <a 2>/dev/null",
    "dd of nothing": "dd iflag=count_bytes count=0 </dev/null 2>/dev/null",
    "dd without options": "dd if=a bs=64 count=2 2>/dev/null",
    "truncate": "truncate -s 10 a; wc -c <a; truncate -s 20 new; wc -c <new",
    "touch": "touch -d @1700000000.25 a; stat -c %.2Y a; touch -d @1700000000 new; ls new",
    "readlink": "readlink link; readlink -f link; readlink -f folder/none; readlink -f no/ne",
    "timeout that is kept": "timeout 5 sh -c 'cat; exit 7' <a",
    "timeout that is not": "timeout 1 sh -c 'sleep 7411 & sleep 7412'",
    "flock": "exec 9>>lock; flock -w 1 9 && flock -w 1 9",
    "flock of another": "exec 9>>lock; flock -w 1 9; (exec 9>>lock; flock -w 1 9)",
    "setsid": "setsid sh -c 'read -r _ _ _ _ _ sid _ </proc/$$/stat; [ $sid = $$ ]'",
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_tool_answers_as_gnu_s_does(call: str, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "facts").write_text(
        f'#!/usr/bin/perl\nour $KERNEL = "Darwin";\n{PROGRAM.read_text()}'
    )
    (tools / "facts").chmod(0o755)
    for name in (*scripts.TOOLS, "setsid"):
        (tools / name).symlink_to("facts")
    usual = os.environ["PATH"]
    folder, ends = tmp_path / "here", []
    for path in (usual, f"{tools}:{usual}"):
        folder.mkdir(exist_ok=True)
        _fill(folder)
        done = subprocess.run(
            ["sh", "-c", call],
            cwd=folder,
            env={**os.environ, "PATH": path, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=30,
        )
        ends.append((done.returncode, done.stdout))
    assert ends[0] == ends[1]


def _fill(folder: Path) -> None:
    """Write the files again in place, with the same times."""
    for name in ("a", "b c", "new\nline", "back\\slash"):
        (folder / name).write_bytes(name.encode() * 700)
        os.utime(folder / name, ns=(1_600_000_000_250_000_000,) * 2)
    (folder / "folder").mkdir(exist_ok=True)
    for name in ("new", "sums", "lock", "link"):
        (folder / name).unlink(missing_ok=True)
    (folder / "link").symlink_to("folder")
