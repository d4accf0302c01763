"""An error that a machine answered with: its message is shown as the machine's. Pure.

A machine says what kind of error it is, in words of its own, and perhaps a code. What to
do next is never its to say: a model or a person would do it. Hints are made here, from a
fixed table, by the code.
"""

import re
import shlex

from sandbox_ops.errors import BY_KIND, NextStep, ProtocolError, SandboxError

SAYS = "the machine says: "
_LONGEST = 4000
_KINDS = frozenset(
    {"refused", "not-found", "denied", "protocol", "timeout", "connection-lost"}
)
"""What a machine can know to be wrong; of our configuration or its key it knows nothing."""

_HELD = re.compile(
    r"\b(name|gpu|file)-([A-Za-z0-9._-]{1,64}) is held by (remote-[1-9]\d{0,8})\b"
)
_OR_ANOTHER = "Or set workspace in sandbox.toml to a folder of yours."
_HINTS = {
    "policy": "The user says what may be read: read_roots and deny_read of that sandbox, "
    "in their own config.toml.",
    "install-git": "Install it there: apt-get install git",
    "install-git-lfs": "Install git-lfs on the machine (apt-get install git-lfs), then "
    "sync again.",
    "make-workspace": "On the machine: sudo mkdir -p {workspace} && "
    f"sudo chown $(id -un) {{workspace}}. {_OR_ANOTHER}",
    "own-workspace": "On the machine: sudo chown $(id -un) {workspace}. "
    f"{_OR_ANOTHER}",
    "make-room": "Make room there: df -h {workspace}",
}


def hint(code: str, workspace: str = "/workspace") -> str:
    """Return the hint that a code of ours stands for; "" for any other word."""
    return _HINTS.get(code, "").format(workspace=shlex.quote(workspace))


def machine_error(kind: str, message: str, code: str = "") -> SandboxError:
    """Return the error that a machine answered with.

    Args:
        kind: One of the kinds of our table.
        message: Shown as the machine's own.
        code: Of the case: selects one of our hints.
    """
    message = message[:_LONGEST]
    steps = _held_steps(message) if code in {"held", "claiming"} else ()
    if steps:
        message = _HELD.sub(_held_words, message)
    if kind not in _KINDS:
        return ProtocolError(f"the machine sent an unknown error, {kind[:40]!r}")
    error = BY_KIND[kind](f"{SAYS}{message}", hint(code), *steps)
    error.reason = code
    return error


def _held_words(held: re.Match[str]) -> str:
    """Return in words what another job has: a claim's own name says what it is."""
    what, which, job = held.groups()
    words = {
        "name": f"the name {which}",
        "gpu": f"GPU {which}",
        "file": "a file that it would write",
    }
    return f"{words[what]} is held by {job}"


def _held_steps(message: str) -> tuple[str | NextStep, ...]:
    """Return the ways out where another job has the name, the GPU or the file."""
    held = _HELD.search(message)
    if held is None:
        return ()
    ways = {
        "name": "Or start under another name.",
        "file": "Or give each run a path of its own, with {job} or {run_dir} in it.",
    }
    forces = {"name": "same-name", "file": "same-output"}
    anyway = "Or start all the same, as before and with"
    return (
        NextStep("logs", {"job": held[3]}, "Look at it"),
        NextStep("stop", {"job": held[3]}, "Or end it"),
        *([ways[held[1]]] if held[1] in ways else []),
        *(
            NextStep("train", {"force": force}, anyway)
            for what, force in forces.items()
            if what == held[1]
        ),
    )
