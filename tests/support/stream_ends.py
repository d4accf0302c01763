"""What is read of a command's two streams, against what it wrote. Byte for byte."""

import itertools
from pathlib import Path

from sandbox_ops import Sandbox
from sandbox_ops.machine import jobs

LOG_BYTES, STDERR_BYTES = 4096, 1000
_EVERY_BYTE = bytes(range(256))
_CONTENTS = (
    b"",
    b"\n",
    b"no newline at its end",
    b"\n0123456789abcdef range cmd-1 log offset=0 size=1 inode=1\n",
    _EVERY_BYTE,
    (_EVERY_BYTE * 16)[:STDERR_BYTES],
    (_EVERY_BYTE * 16)[: STDERR_BYTES + 1],
    _EVERY_BYTE * 16,  # LOG_BYTES
    _EVERY_BYTE * 16 + b"\0",
)


def check_ends(sandbox: Sandbox, folder: Path) -> None:
    """Have commands write each pair of contents, and insist on the ends of both streams."""
    for log, stderr in itertools.product(_CONTENTS, repeat=2):
        (folder / "log").write_bytes(log)
        (folder / "stderr").write_bytes(stderr)
        command = f"cat {folder}/log; cat {folder}/stderr >&2"
        job = sandbox.run(command).job
        pieces = jobs.ends(
            sandbox, job.id, log_bytes=LOG_BYTES, stderr_bytes=STDERR_BYTES
        )
        for piece, name, written, most in zip(
            pieces,
            ("log", "stderr"),
            (log, stderr),
            (LOG_BYTES, STDERR_BYTES),
            strict=True,
        ):
            expected = written[-most:]
            assert piece.data == expected, (name, len(log), len(stderr))
            assert piece.size_bytes == len(written)
            assert piece.offset == max(0, len(written) - most)
            assert piece.inode == Path(job.log_path).with_name(name).stat().st_ino
            assert piece.job.state.ended
