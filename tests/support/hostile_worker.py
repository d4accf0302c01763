"""A machine that answers as it likes: it speaks our protocol, and follows no rule of it.

`links(folder, answer)` makes links to it: a process on this computer, started in place of
a shell. It finds the nonce in what we send, as a broken-into machine would.
"""

import sys
from pathlib import Path

from sandbox_ops.links.process import ProcessLinks


def links(folder: Path, answer: bytes, times: int = 1) -> ProcessLinks:
    """Return links whose worker gives this answer to every request.

    Args:
        folder: Where the answer is kept.
        answer: `NONCE` in it stands for the session's.
        times: How often it comes, one after the other.
    """
    file = folder / "answer"
    file.write_bytes(answer)
    return ProcessLinks((sys.executable, __file__, str(file), str(times)), "hostile")


def _serve(answer: Path, times: int) -> None:
    lines, out = sys.stdin.buffer, sys.stdout.buffer
    while lines.readline().strip() != b"#=":
        pass
    lines.readline()
    nonce = lines.readline().strip()[1:]
    out.write(
        b"\n%b noise\n/home/x/.sandbox-ops/v1/h\n%b hello login=ok\n" % (nonce, nonce)
    )
    out.flush()
    lines.readline()  # the nonce once more
    payload = answer.read_bytes().replace(b"NONCE", nonce)
    while head := lines.readline():
        sequence, count, size = head[1:].split()
        for _ in range(int(count)):
            lines.readline()
        lines.read(int(size))
        for _ in range(times):
            out.write(payload)
        out.write(b"\n%b end %b\n" % (nonce, sequence))
        out.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]))
