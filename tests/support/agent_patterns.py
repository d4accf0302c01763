"""The guide's patterns, run through the tools on a real machine and written down.

`docs/tutorial/agent-patterns.md` is what `document` returns; nobody edits it by hand.
What differs from run to run (paths, commits, times, cursors) is replaced by what a
reader's machine would say, so that the document changes only where the product does.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gitproject import GitProject
from mcp_server import Ask
from sshd import SshServer
from waiting import wait_until

CHARACTERS_A_TOKEN = 4

TRAINING = '''\
"""Counts buckets; stands for a training of hours."""

import pathlib
import sys
import time

steps, gate = int(sys.argv[1]), pathlib.Path(sys.argv[2])
for step in range(1, steps + 1):
    if step == steps // 2 + 1:
        while not gate.exists():
            time.sleep(0.02)
    print(f"step {step}/{steps} loss={2 / (1 + step):.4f}", flush=True)
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path("models/policy.pt").write_text("weights" * 1000)
print("saved models/policy.pt")
'''
CHECK = """\
import pathlib, sys
print("python", sys.version_info.major, "reads", len(list(pathlib.Path().glob("*.py"))), "files")
"""
CONFIGURED = """
[project]
outputs = ["models/"]
[project.train]
command = "python3 train.py {steps} {gate}"
"""


@dataclass
class Place:
    """What the patterns are run with.

    Attributes:
        ask: Calls a tool.
        workspace: Of the machine, here. The training waits in its middle until there
            is a file `go` in it.
    """

    ask: Ask
    git: GitProject
    machine: SshServer
    workspace: Path
    lines: list[str] = field(default_factory=list)
    tokens: int = 0
    calls: int = 0
    costs: list[tuple[str, int, int]] = field(default_factory=list)

    def begin(self, title: str, arguments: str) -> None:
        """Begin a pattern."""
        self.end()
        self.lines += [f"## {title}", arguments, ""]
        self.costs.append((title, 0, 0))

    def end(self) -> None:
        """Say what the pattern cost."""
        if self.calls:
            title, _, _ = self.costs.pop()
            self.costs.append((title, self.calls, self.tokens))
            self.lines += [f"{self.calls} calls, about {self.tokens} tokens.", ""]
        self.calls = self.tokens = 0

    def local(self, command: str) -> None:
        """Say what the agent does in its own shell."""
        self.lines += ["```sh", f"$ {command}", "```"]

    def call(self, tool: str, **arguments: Any) -> str:  # noqa: ANN401
        """Call a tool, and write down what was asked and answered."""
        answer, is_error = self.ask(tool, **arguments)
        named = ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())  # fmt: skip
        asked = self.plain(f"{tool}({named})")
        shown = self.plain(answer)
        self.calls += 1
        self.tokens += (len(asked) + len(shown)) // CHARACTERS_A_TOKEN
        kind = "error" if is_error else "answer"
        self.lines += [f"`{asked}`", f"```text {kind}", shown.strip("\n"), "```"]
        return answer

    def wait(self, job: str, arguments: str) -> None:
        """Wait until a job's answer has these words; an agent would do something else."""
        wait_until(
            lambda: re.search(
                arguments, self.ask("remote_bash_output", bash_id=job)[0]
            ),
            timeout_s=20,
            what=arguments,
        )

    def plain(self, reported: str) -> str:
        """Return text as it would be on the reader's machine."""
        for match, better in (
            (str(self.workspace), "/workspace"),
            (str(self.machine.home), "/home/you"),
            (str(self.git.clone), "/home/you/code/bucket-brigade"),
        ):
            reported = reported.replace(match, better)
        for pattern, better in _VARIES:
            reported = re.sub(pattern, better, reported, flags=re.MULTILINE)
        return self._commits(reported)

    def _commits(self, reported: str) -> str:
        known = self.git.git("log", "--format=%H", "--reverse").split()
        for number, commit in enumerate(known, 1):
            name = f"{number:x}" * 10
            reported = reported.replace(commit, name * 4).replace(commit[:10], name)
            reported = reported.replace(commit[:7], name[:7])
        return reported


_VARIES = (
    (r"^not ours: .*\n", ""),
    (r"started by \S+@\S+?(?=[)\n]|\Z)", "started by you@laptop"),
    (r"\b[0-9a-f]{64}\b", "0123456789abcdef" * 4),
    (r"started \d[^\n]*? ago", "started 5 min 20 s ago"),
    (r"^not ours, left alone:\n(?:  .*(?:\n|\Z))+", ""),  # of other tests, for one
    (r"\.sandbox-ops/v1/[^/]+/", ".sandbox-ops/v1/home/"),
    (
        r"\d+\.\d [KMGT]iB free of \d+\.\d [KMGT]iB at \S+, load \d+\.\d of \d+",
        "41.2 GiB free of 100.0 GiB at /workspace, load 0.5 of 16",
    ),
    (r"^test: ", "gpu1: "),
    (r"(cursor: |since=\")[\w-]+", r"\1MS9yZW1vdGUtOS8xMjM0LzU2Nzg5L3Rlc3T"),
    (r", \d+(\.\d)? s\b", ", 2.1 s"),
    (r"ETA [^;\n]+", "ETA 1 h 10 min"),
    (r"backup/[\w.-]+", "backup/20261101T101500Z"),
    (r"^  \d+ (?=\w)", "  4242 "),
    (r"python 3 reads \d", "python 3 reads 2"),
)


def document(place: Place, fixed: Mapping[str, int]) -> str:
    """Run all patterns; return the page.

    Args:
        place: What they are run with; nothing is set up there yet.
        fixed: What a conversation pays at its beginning, in tokens, by what it is.
    """
    for pattern in (_first, _day, _change, _training, _troubleshoot, _results, _five):
        pattern(place)
    place.end()
    rows = [f"| {title} | {calls} | {tokens} |" for title, calls, tokens in place.costs]
    begins = [f"| {what} | | {tokens} |" for what, tokens in fixed.items()]
    table = ["| | calls | tokens |", "|---|---|---|", *begins, *rows, ""]
    return "\n".join([_HEAD, *table, *place.lines])


_HEAD = """\
# The patterns of the guide, as an agent runs them

Written by `tests/surfaces/mcp_adapter/test_mcp_patterns.py`, which runs every call below against a real
sshd and a real git remote; edit `tests/support/agent_patterns.py`. Paths, commits, times and cursors
are replaced by what your machine would say. Tokens are characters divided by four, of call
and answer together.
"""

Pattern = Callable[[Place], None]


def _first(place: Place) -> None:
    place.begin(
        "First-time set-up",
        "The prompt `first_setup`. Look, set up, and the smallest thing that can run.",
    )
    place.call("remote_monitor")
    place.call("remote_setup")
    place.call("remote_bash", command="python3 check.py", cwd=_project(place))


RATES = """\
import pathlib, sys, time
rate = float(sys.argv[1])
for step in range(1, 9):
    loss = float("nan") if rate > 1 and step > 5 else 2 / (1 + rate * step)
    print(f"step {step}/8 loss={loss:.4f}", flush=True)
while rate > 1:
    time.sleep(1)
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path(f"models/rate_{rate}.pt").write_text("weights" * 1000)
"""


def _day(place: Place) -> None:
    place.begin(
        "A whole day",
        "Fix, sync, two trainings of which one diverges, a log of 120 MB, results home,"
        " rescue and reset of what somebody edited there. Nothing is polled.",
    )
    place.local("git commit -am 'Try two rates'")
    place.git.commit({"rates.py": RATES}, "Try two rates")
    old = place.workspace / "old.log"
    with old.open("w") as file:
        file.writelines(f"epoch {n} loss {n % 97}\n" for n in range(6_000_000))
    command = "python3 rates.py {rate}"
    settings = {"rate": ["0.1", "8"]}
    said = place.call(
        "remote_train", sync=True, command=command, name="rates", settings=settings
    )
    wide, steep = re.findall(r'^ *(remote-\d+) "rates', said, re.MULTILINE)
    place.wait(wide, "succeeded")  # or the first answer may be of either
    place.call("remote_bash_output", bash_id=steep, wait=600_000)
    place.call("remote_bash_stop", bash_id=steep)
    place.call("remote_bash_output", bash_id=wide, wait=600_000)
    place.call("remote_file_read", file_path=str(old), limit=3)
    place.call("remote_fetch", path="models/rate_*.pt")
    old.unlink()
    edited = place.workspace / place.git.name / "rates.py"
    edited.write_text("# tried there\n")
    place.call("remote_reset")
    place.call("remote_reset", confirm=True)


def _change(place: Place) -> None:
    place.begin(
        "Code change to remote run",
        "The prompt `change_and_run`. Code travels by git alone; what is not pushed is"
        " refused, with the call that pushes it.",
    )
    place.local("git commit -am 'Say where we are'")
    place.git.commit({"check.py": f"{CHECK}print('here')\n"}, "Say where we are")
    place.call("remote_sync")
    place.call("remote_sync", push=True)
    place.call("remote_bash", command="python3 check.py", cwd=_project(place))


def _training(place: Place) -> None:
    place.begin(
        "Long training",
        "The prompt `long_training`. It belongs to the machine; the agent looks when it"
        " likes, and pays for what is new.",
    )
    settings = {"steps": 400, "gate": "../go"}
    job = place.call("remote_train", name="wide", settings=settings).split()[0]
    place.wait(job, "step 200/400")
    answer = place.call(
        "remote_bash_output", bash_id=job, filter="step 200/", wait=600_000
    )
    since = re.findall(r"^cursor: (\S+)$", answer, re.MULTILINE)[0]
    place.call("remote_monitor")
    (place.workspace / "go").touch()
    place.call("remote_bash_output", bash_id=job, since=since, wait=600_000, limit=2)


def _troubleshoot(place: Place) -> None:
    place.begin(
        "Troubleshoot",
        "The prompt `troubleshoot`. Somebody edited the code there, and a job fails:"
        " find the line, the cause, and undo it without losing it.",
    )
    edited = place.workspace / place.git.name / "check.py"
    edited.write_text(
        "import pathlib\nprint(pathlib.Path('missing.txt').read_text())\n"
    )
    job = place.call("remote_bash", command="python3 check.py", cwd=_project(place), run_in_background=True).split()[0]  # fmt: skip
    place.call("remote_bash_output", bash_id=job, wait=600_000)
    place.call("remote_bash", command="git status --short && git diff | tail -n 4", cwd=_project(place))  # fmt: skip
    place.call("remote_reset")
    place.call("remote_reset", confirm=True)
    stuck = place.call("remote_bash", command="exec sleep 3600", run_in_background=True)
    place.call("remote_bash_output")
    place.call("remote_bash_stop", bash_id=stuck.split()[0])


def _results(place: Place) -> None:
    place.begin(
        "Retrieve results",
        "The prompt `retrieve_results`. What would come, then all of it, checksummed, over"
        " no file that differs.",
    )
    place.call("remote_fetch", dry_run=True)
    place.call("remote_fetch")


def _five(place: Place) -> None:
    place.begin(
        "The same with five tools alone",
        "Without `--toolsets`: git in the agent's own shell and in remote_bash, a training"
        " as a job.",
    )
    place.local("git commit -am 'Leave it out again' && git push")
    place.git.commit({"check.py": CHECK}, "Leave it out again", push=True)
    project = _project(place)
    place.call("remote_bash", command="git fetch -q && git merge --ff-only -q && git log -1 --format=%h", cwd=project)  # fmt: skip
    answer = place.call(
        "remote_bash",
        command="python3 train.py 40 ../go",
        cwd=project,
        description="train 40 steps",
        run_in_background=True,
    )
    job = answer.split()[0]
    place.call("remote_bash_output", bash_id=job, wait=600_000, limit=2)
    log = re.findall(r"^Log: (/\S+)", answer, re.MULTILINE)[0]
    place.call("remote_file_read", file_path=log, limit=3)
    place.call("remote_fetch", path=f"{project}/check.py", into="there")


def _project(place: Place) -> str:
    return f"{place.workspace}/{place.git.name}"
