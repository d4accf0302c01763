"""The POSIX sh that runs on the machine, as text to send.

`lib/*.sh` is one library, the resident worker's and the supervisors'. Each other `.sh`
file is a command of ours that runs there as a recorded job (`script`). Data enters
shell text here alone, quoted by `words`.
"""

import functools
import hashlib
import shlex
from collections.abc import Sequence
from importlib import resources

from sandbox_ops.errors import UsageError

_LIBRARY = (
    "common", "boot", "worker", "start", "supervise", "watch", "limit", "stop", "look",
    "read", "prune", "main",
)  # fmt: skip

BOOTSTRAP = (
    "exec /bin/sh -c 'IFS= read -r x;IFS= read -r n;"
    """l=$(dd bs="$n" count=1 iflag=fullblock 2>/dev/null|cut -c2-);eval "$l"'"""
)
"""The constant command that `streamed` needs; any login shell takes it as it is.

A start-up file may put another shell in its place, which then reads what we send: it
runs the first line, by which we notice; the rest is comments to it. `dd` because it takes
what it was told and no more; busybox's `head -c` takes all.
"""

WORKER = (
    "exec /bin/sh -c 'IFS= read -r x;IFS= read -r h;IFS= read -r n;h=${h#?};n=${n#?};"
    'f=$HOME/.sandbox-ops/lib/$h.sh;if [ -s "$f" ];then . "$f";fi;'
    """printf "\\n$n need\\n";until [ "$x" = "#$n library" ];do IFS= read -r x||exit;done;"""
    'IFS= read -r s;l=$(dd bs="${s#?}" count=1 iflag=fullblock 2>/dev/null|cut -c2-);'
    """eval "$l"'"""
)
"""The same for a resident worker, which finds the library on the machine, or asks for it."""


@functools.cache
def library() -> str:
    """Return the library without its comments."""
    folder = resources.files(__name__) / "lib"
    lines: list[str] = []
    for name in _LIBRARY:
        lines += (folder / f"{name}.sh").read_text("utf-8").splitlines()
    return "\n".join(
        line for line in lines if line and not line.lstrip().startswith("#")
    )


def _commented(text: str) -> bytes:
    lines = "".join(f"#{line}\n" for line in text.split("\n"))
    body = lines.encode("utf-8", "surrogateescape")
    return b"%d\n%b" % (len(body), body)


@functools.cache
def _library_name() -> str:
    return hashlib.sha256(library().encode()).hexdigest()[:16]


def streamed(name: str, *arguments: str) -> bytes:
    """Return what makes a `BOOTSTRAP` session run `NAME.sh`; its stdin is what follows."""
    return b":\n" + _commented(script(name, *arguments))


def opening(nonce: str) -> bytes:
    """Return the first message of a worker's channel: the library's name, the nonce."""
    bare = f"printf '\\n{nonce} bare\\n'"
    return f"{bare}\n#{_library_name()}\n#{nonce}\n#{nonce}\n".encode()


def needed(nonce: str) -> bytes:
    """Return the answer to a machine that does not have the library yet."""
    mark = nonce.encode()
    return b"#%b library\n#%b#%b\n" % (mark, _commented(library()), mark)


def words(*values: str) -> str:
    """Return the values as one line of shell words, whatever they hold.

    Raises:
        UsageError: A value holds a NUL, which no Unix argument can.
    """
    for value in values:
        if "\0" in value:
            shown = value.replace("\0", "\\0")[:60]
            raise UsageError(f"a NUL byte cannot be part of a command: {shown!r}")
    return " ".join(map(shlex.quote, values))


def request(sequence: int, verb: str, arguments: Sequence[str]) -> bytes:
    """Return the bytes of one request to a resident worker.

    Short bodies are counted in lines, which the shell reads without a fork; long ones
    in bytes, because its `read` takes one system call a byte. The last word of a body
    says that it is whole. To any other shell every line is a comment.
    """
    text = f"do_{verb} {words(*arguments)} #{sequence}".replace("\n", "\n#")
    body = f"#{text}\n".encode("utf-8", "surrogateescape")
    if len(body) > _LINE_BODY_BYTES:
        return b"#%d 0 %d\n%b" % (sequence, len(body), body)
    return b"#%d %d 0\n%b" % (sequence, body.count(b"\n"), body)


_LINE_BODY_BYTES = 4096


def script(name: str, *arguments: str) -> str:
    """Return the command that is the packaged `NAME.sh` with those arguments."""
    text = (resources.files(__name__) / f"{name}.sh").read_text("utf-8")
    return f"set -- {words(*arguments)}\n{text}"


def assignments(values: dict[str, str]) -> str:
    """Return shell lines that export the values.

    Raises:
        UsageError: A name is not an environment variable's.
    """
    for name in values:
        if not (name.isascii() and name.isidentifier()):
            raise UsageError(f"not the name of an environment variable: {name!r}")
    return "\n".join(f"export {name}={words(value)}" for name, value in values.items())
