"""The table of what was measured, and the page around it."""

import datetime as dt
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from agent_eval.evaluate import Result
from agent_eval.scenarios import Scenario

_HEAD = """\
# How agents' clients do: the evaluation

Written by `make agent-eval WRITE=1`; `make agent-eval` prints the same tables. **Scripted, not a model**:
each client does what somebody who knows it well would do, with what it reads on the way.
[With a model](../how-to/evaluate-with-a-model.md) the same scenarios and the same checker serve.

- `ssh`: OpenSSH over a ControlMaster: nohup, setsid, files for pids and exit codes, a lock around
  what must run once, `scp` and `sha256sum`, commands combined, loops where the link is known to be bad.
- `tools`: our MCP server with its default tools, a process spoken to over stdio;
  `both toolsets`: with the workflow tools, where they have a part.
- `command line`: `sandbox-ops` in the same shell.

A call is what a model has to issue, commands of its own shell too; *read* is the characters of
the answers, *written* those of the commands; *failed* are calls that failed though the task was
not to blame. *Right* is decided by facts: what the programs noted of themselves where no client
looks (how often they ran, how they ended), files and refs, processes that are left, and answers
held against them; never by what a client said of its own work.
"""


_NOTES = """
What to know when reading it: a colleague uses what the client uses, so that each can find the job
and its end. The scripts know what to do next; a model looks around, reads help and errs, and pays
for it ([how](../how-to/evaluate-with-a-model.md)). A script for plain ssh that detaches everything
and takes every link for a bad one has as few failures as ours; what is run in the foreground there
dies with its link, and an exit code in a file needs room on the disk. The bad day is as long as one
fifth of the real one: a step of 10 s in the place of 50 s, sessions killed every 3.4 s for 17 s.
"""


@dataclass(frozen=True, slots=True)
class Goal:
    """What is asked of a client in a scenario; None where nothing is."""

    calls: int
    read: int | None = None
    failed: int | None = None

    def met(self, result: Result) -> bool:
        cost = result.cost
        return (
            not result.wrong
            and cost.calls <= self.calls
            and (self.read is None or cost.read <= self.read)
            and (self.failed is None or cost.failed <= self.failed)
        )

    def __str__(self) -> str:
        said = [f"at most {self.calls} calls"]
        if self.read is not None:
            said.append(f"{self.read:,} characters")
        if self.failed is not None:
            said.append(f"{self.failed} failed")
        return ", ".join(said)


GOALS: Mapping[tuple[str, str], Goal] = {
    ("good-day", "tools"): Goal(calls=10, read=15_000),
    ("good-day", "command line"): Goal(calls=15),
    ("bad-day", "tools"): Goal(calls=8, failed=0),
}


def table(results: Sequence[Result], scenarios: Mapping[str, Scenario]) -> str:
    """Return all results as one Markdown table."""
    lines = [
        "| scenario | client | calls | failed | read | written | seconds | right | goal |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    shown = ""
    for result in results:
        title = "" if result.scenario == shown else scenarios[result.scenario].title
        shown = result.scenario
        lines.append(_row(result, title))
    return "\n".join(lines)


def _row(result: Result, title: str) -> str:
    cost, goal = result.cost, GOALS.get((result.scenario, result.client))
    right = f"{len(result.facts) - len(result.wrong)} of {len(result.facts)}"
    verdict = f"{goal}: {'met' if goal.met(result) else '**missed**'}" if goal else ""
    cells = (
        title, result.client, cost.calls, cost.failed, f"{cost.read:,}",
        f"{cost.written:,}", f"{result.seconds:.1f}", right, verdict,
    )  # fmt: skip
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def wrong(results: Sequence[Result]) -> Iterator[str]:
    """Say what was not right, a line each."""
    for result in results:
        where = f"{result.scenario}, {result.client}"
        if result.gave_up:
            yield f"{where}: gave up: {result.gave_up}"
        for fact in result.wrong:
            yield f'{where}: not "{fact.name}": {fact.seen}'


def fixed(results: Sequence[Result]) -> str:
    """Say what the tools cost before the first call."""
    most = max((result.fixed for result in results), default=0)
    return (
        f"Tools and instructions, read once a conversation: {most:,} characters."
        if most
        else ""
    )


def page(results: Sequence[Result], scenarios: Mapping[str, Scenario]) -> str:
    """Return docs/reference/agent-evaluation.md."""
    today = dt.datetime.now(dt.UTC).strftime("%d %B %Y").lstrip("0")
    machine = (
        f"One run of {today}: {os.cpu_count()} cores that others use too, {platform.system()},"
        f" Python {platform.python_version()}, sshd and clients on one machine, the three"
        " clients of a scenario side by side."
    )
    faults = [f"- {line}" for line in wrong(results)]
    tasks = [
        f"- `{name}`: {scenario.task.replace('{step_s:g}', f'{scenario.step_s:g}')}"
        for name, scenario in scenarios.items()
    ]
    parts = [
        _HEAD, machine, _NOTES, "", table(results, scenarios), "", fixed(results), "",
        "## What was not right", *(faults or ["Nothing."]), "",
        "## The tasks, as they are given", *tasks, "",
    ]  # fmt: skip
    return "\n".join(parts)
