"""What is ours in an answer, and what is the machine's: nobody may take one for the other.

Our own lines begin with `[sandbox-ops:`; a line of the machine that begins so, or with
characters that look so, gets a backslash in front. That costs no token where nobody
cheats, and cannot be forged: text of the machine comes in through `remote`, which also
makes every character visible.
"""

import json
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from sandbox_ops.models import Job
from sandbox_ops.text import clean, formatting

# What a reader takes for these characters, beside their full-width forms.
_ALIKE = {
    "[": "\u3010\u3014\u301a\u27e6\u2772\u2045",
    "-": "\u2010-\u2015\u2212 _",
    "a": "\u0430\u0251",
    "b": "\u044c",
    "c": "\u0441",
    "d": "\u0501",
    "e": "\u0435",
    "i": "\u0456\u0131",
    "n": "\u0578",
    "o": "\u043e\u03bf",
    "p": "\u0440\u03c1",
    "s": "\u0455",
    "t": "\u0442\u03c4",
    "x": "\u0445\u03c7",
}


def alike(words: str) -> str:
    """Return a pattern of what can be taken for these words, in lower case and ASCII."""
    return "".join(
        f"[{re.escape(each)}{_ALIKE.get(each, '')}{chr(ord(each) + 0xFEE0)}]"
        if "!" <= each <= "~"
        else r"\s+"
        for each in words
    )


_POSING = re.compile(
    rf"^[^\S\n]*{alike('[')}[^\S\n]?{alike('sandbox-ops')}",
    re.MULTILINE | re.IGNORECASE,
)


def note(words: str) -> str:
    """Return a line of our own."""
    return f"[sandbox-ops: {words}]"


def remote(data: bytes | str) -> str:
    """Return what a machine said, safe to show: the same number of lines."""
    return _POSING.sub(r"\\\g<0>", clean.collapse(clean.clean(data)))


@dataclass(frozen=True, slots=True)
class Calls:
    """The next calls that an answer names, as a model would write them.

    Attributes:
        sandbox: Which machine they are for; "" where that is the default.
        can_stop: Whether there is a tool that ends a job.
    """

    sandbox: str = ""
    can_stop: bool = False

    def read_file(self, path: str, **lines: int) -> str:
        """Return the call that reads a file on the machine."""
        return self.named("remote_file_read", file_path=path, **lines)

    def read_job(self, job_id: str) -> str:
        """Return the call that reads a job."""
        return self.named("remote_bash_output", bash_id=job_id)

    def named(self, tool: str, **arguments: str | int) -> str:
        """Return the call of a tool."""
        if self.sandbox:
            arguments["sandbox"] = self.sandbox
        words = (
            f"{name}={json.dumps(value, ensure_ascii=False)}"
            for name, value in arguments.items()
        )
        return f"{tool}({', '.join(words)})"

    def stop_words(self, job: Job) -> str:
        """Return what a job left running and what ends it; "" if nothing."""
        words = formatting.survivors_line(job)
        if not words:
            return ""
        if self.can_stop:
            alive = words.partition("; ")[0]
            call = self.named("remote_stop", bash_id=job.id, confirm=True)
            return f"{alive}; end: {call}"
        option = f" --sandbox {shlex.quote(self.sandbox)}" if self.sandbox else ""
        return f"{words}{option} (in a local shell)"


def join(*parts: str) -> str:
    """Return the parts that say something, each on lines of its own."""
    return "\n".join(part.removesuffix("\n") for part in parts if part)


def cut(line: str, limit: int) -> str:
    """Return a line, or its beginning and how much is left out."""
    if len(line) <= limit:
        return line
    return f"{line[:limit]} {note(f'{len(line) - limit:,} characters left out')}"


def that_fit(lines: Iterable[str], room: int) -> list[str]:
    """Return the first lines, as many as fit into so many characters."""
    fitting: list[str] = []
    for line in lines:
        room -= len(line) + 1
        if room < 0:
            break
        fitting.append(line)
    return fitting
