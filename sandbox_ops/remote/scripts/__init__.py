"""The POSIX sh that runs on the machine, as text to send.

`lib/*.sh` is one library, the resident worker's and the supervisors'. Each other `.sh`
file is a command of ours that runs there as a recorded job (`script`); functions that it
uses, of the library or of `lib/script.sh`, and tools that not every machine has, are named in
a line `# uses:`.
A machine without /proc gets a library of its own: another reader of its kernel in it. Data enters
shell text here alone, quoted by `words`.
"""

import functools
import hashlib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from sandbox_ops.errors import UsageError

_FOLDER = Path(__file__).parent  # importlib.resources takes 3 ms of every start
_LIBRARY = (
    "common", "facts", "boot", "ids", "worker", "start", "groups", "queue", "keeper", "slots",
    "supervise", "attempts", "nodes", "slurm", "slurm_submit", "slurm_chain", "slurm_rows", "slurm_places",
    "slurm_life", "slurm_account", "slurm_end",
    "slurm_stop", "slurm_node", "outputs", "outputs_look", "environment", "own_tree", "restore",
    "watch", "limit", "stop", "look", "machine", "usage", "digest", "changes", "runs",
    "opened", "read", "prune", "notify", "main",
)  # fmt: skip

LINUX, BSD = "facts", "facts_bsd"
"""What reads a kernel: one of them is in a library, as the machine has /proc or not."""

_FILLER = "#\n" * 7
"""Lines for a start-up file that reads its input: it takes some, and does no harm."""


@functools.cache
def bootstrap(name: str) -> str:
    """Return the command of a session that becomes a `worker`, or runs a `stream`.

    It is constant, one line, and any login shell takes it as it is: two words in single
    quotes, what finds a shell that we know, and `boot/NAME.sh` for it to run. `dd` reads
    there because it takes as much as it is asked to and no more; busybox's `head -c` takes all.
    """
    return f"exec /bin/sh -c '{_one_line('known_shell')}' /bin/sh '{_one_line(name)}'"


def _one_line(name: str) -> str:
    text = (_FOLDER / "boot" / f"{name}.sh").read_text("utf-8")
    lines = (line.strip() for line in text.splitlines())
    return " ".join(line for line in lines if line and not line.startswith("#"))


@functools.cache
def library(facts: str = LINUX) -> str:
    """Return the library without its comments, with what reads that kernel."""
    before, after = _parts()
    lines = _code(f"{facts}.sh")
    if facts != LINUX:
        program = "\n".join(_code(f"{facts}.pl"))
        lines.insert(0, f"FACTS_PROGRAM={shlex.quote(program)}")
    return "\n".join((before, *lines, after))


@functools.cache
def _parts() -> tuple[str, str]:
    """Return what is before and behind that in every library: it is read once."""
    at = _LIBRARY.index(LINUX)
    parts = (_LIBRARY[:at], _LIBRARY[at + 1 :])
    before, after = (
        [line for name in part for line in _code(f"{name}.sh")] for part in parts
    )
    return "\n".join(before), "\n".join(after)


def _code(file: str) -> list[str]:
    """Return the lines of a file of the library, but for comments."""
    lines = (_FOLDER / "lib" / file).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.lstrip().startswith("#")]


@functools.cache
def names() -> frozenset[str]:
    """Return what our recorded commands are called: `NAME.sh`."""
    return frozenset(file.name for file in _FOLDER.glob("*.sh"))


def _commented(text: str) -> bytes:
    lines = "".join(f"#{line}\n" for line in text.split("\n"))
    body = lines.encode("utf-8", "surrogateescape")
    return b"%d\n%b" % (len(body), body)


@functools.cache
def library_name(facts: str = LINUX) -> str:
    """Return what the library is called on a machine that has it: `NAME.sh`."""
    return hashlib.sha256(library(facts).encode()).hexdigest()[:16]


def streamed(name: str, *arguments: str) -> bytes:
    """Return what makes a `stream` session run `NAME.sh`; its stdin is what follows."""
    return f"{_FILLER}#=\n".encode() + _commented(script(name, *arguments))


def opening(nonce: str) -> bytes:
    """Return the first message of a worker's channel: the libraries' names, the nonce.

    A start-up file may put another shell in our place, which then reads what we send: it
    runs the first line, by which we notice; the rest is nothing, or comments, to it.
    """
    bare = f"printf '\\n{nonce} bare\\n'\n"
    names = f"#{library_name()} {library_name(BSD)}\n"
    return f"{bare}{_FILLER}#=\n{names}#{nonce}\n#{nonce}\n".encode()


def needed(nonce: str, name: str) -> bytes:
    """Return the answer to a machine that does not have the library of that name yet."""
    mark = nonce.encode()
    text = library(BSD if name == library_name(BSD) else LINUX)
    return b"#%b library\n#%b#%b\n" % (mark, _commented(text), mark)


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
    return f"set -- {words(*arguments)}\n{_script_text(name)}"


@functools.cache
def _script_text(name: str) -> str:
    """Return the script, with the functions that it uses before it.

    Where it uses what reads the kernel, and there is no /proc, those come from all of the
    library there, with tools as GNU has them.
    """
    text = (_FOLDER / f"{name}.sh").read_text("utf-8")
    used = " ".join(_USES.findall(text)).split()
    known = _functions()
    parts = [known[one] for one in used if one not in TOOLS]
    if any(one not in _functions_of("script.sh") for one in used):
        parts.append(_WITHOUT_PROC % library_name(BSD))
    return "\n".join((*parts, text))


_TOOLS = "dd df flock readlink sha256sum stat timeout touch truncate"
TOOLS = frozenset(_TOOLS.split())
"""What a script says that it uses of the tools: a BSD lacks them, or they differ there."""

_WITHOUT_PROC = (
    "[ -r /proc/self/stat ] || { use_facts() { set -- facts "
    '"$HOME/.sandbox-ops/lib/%s.tools"; . "${2%%.tools}.sh"; }; use_facts; }'
)
_USES = re.compile(r"^# uses: (.*)$", re.MULTILINE)
_FUNCTION = re.compile(r"^(\w+)\(\) \{$.*?^\}$", re.MULTILINE | re.DOTALL)


@functools.cache
def _functions() -> dict[str, str]:
    """Return the functions that scripts may use, by their names."""
    files = ("facts.sh", "opened.sh", "slurm_node.sh", "script.sh")
    return {name: text for file in files for name, text in _functions_of(file).items()}


@functools.cache
def _functions_of(file: str) -> dict[str, str]:
    text = "\n".join(_code(file))
    return {match[1]: match[0] for match in _FUNCTION.finditer(text)}


def guard(name: str, *arguments: str) -> str:
    """Return the text of `guards/NAME.sh`, which a script begins with that it may refuse."""
    return script(f"guards/{name}", *arguments)


def assignments(values: dict[str, str]) -> str:
    """Return shell lines that export the values.

    Raises:
        UsageError: A name is not an environment variable's.
    """
    for name in values:
        if not (name.isascii() and name.isidentifier()):
            raise UsageError(f"not the name of an environment variable: {name!r}")
    return "\n".join(f"export {name}={words(value)}" for name, value in values.items())
