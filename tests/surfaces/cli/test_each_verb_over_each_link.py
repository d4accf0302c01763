"""Every verb over every link, once, as docs/reference/links.md says that it goes.

One machine a link, its verbs in the order of a working day. What a verb does in hard
cases is tested elsewhere; here nothing may be missing.
"""

import json
import re
import signal
import socket
import socketserver
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, cli
from gitproject import GitProject
from link_machines import LINKS, LinkedMachine, linked_machine
from processes import Child
from slow import slow
from terminals import Terminal

PAGE = Path(__file__).parents[3] / "docs/reference/links.md"
NO_MACHINE = {"allow-list", "completion", "demo", "mcp-install", "plugin-install"}
_ROW = re.compile(
    r"^\| \[`([a-z-]+)`\]\(commands\.md#[a-z-]+\) \|(.*)\|$", re.MULTILINE
)
_QUOTED = re.compile(r"refused: `(.*)`")

TRAINING = """
import pathlib, sys
rate = float(sys.argv[1])
for step in range(1, 4):
    print(f"step {step}/3 loss={1 / step / rate:.3f}", flush=True)
pathlib.Path("models").mkdir(exist_ok=True)
pathlib.Path(f"models/{rate}.pt").write_text(f"{rate}")
"""
CONFIGURED = """
[project]
outputs = ["models/"]
setup = ["true"]
verify = ["true"]
[project.train]
command = "python3 train.py {lr}"
"""
Check = Callable[[dict[str, Any]], object]
Outcome = tuple[int, str]
"""Exit code, and the message of the error."""


def table() -> dict[str, dict[str, str]]:
    """Return what the page says: for each verb what it does over each link."""
    rows = {}
    for verb, cells in _ROW.findall(PAGE.read_text("utf-8")):
        words = [cell.strip() for cell in cells.split("|")]
        rows[verb] = dict(zip(LINKS, words, strict=False))
    return rows


def test_the_table_has_every_verb_of_the_program(tmp_path: Path) -> None:
    done = cli("--list", "--list-format", "json", cwd=tmp_path)
    verbs = {task["name"] for task in json.loads(done.stdout)["tasks"]}
    assert set(table()) == verbs - NO_MACHINE
    page = PAGE.read_text("utf-8")
    assert all(f"`{verb}`" in page for verb in NO_MACHINE)
    assert all(verb in {*STEPS, "shell", "tunnel"} for verb in table())


# In this order: each verb's plain good case, and what shows that it did something.
STEPS: dict[str, tuple[tuple[str, ...], Check]] = {
    "login": ((), lambda it: it["opened"]),
    "sandboxes": ((), lambda it: it["sandboxes"][0]["reachable"]),
    "doctor": ((), lambda it: it["ok"]),
    "trust": ((), lambda it: it["keys"][0]["trust"] == "trusted"),
    "allow": ((), lambda it: it["allowed"]),
    "setup": ((), lambda it: it["steps"][0]["result"] == "changed"),
    "sync": (("--push",), lambda it: it["commit_after"] != it["commit_before"]),
    "put": (("data.txt",), lambda it: it["files"][0]["path"] == "data.txt"),
    "run": (("--", "cat", "data.txt"), lambda it: it["stdout"] == "some data\n"),
    "train": (
        ("--name", "a", "--gpus", "0", "--set", "lr=0.5"),
        lambda it: it["job"]["id"] == "remote-1",
    ),
    "wait": (("a",), lambda it: it["job"]["state"] == "succeeded"),
    "jobs": ((), lambda it: [job["name"] for job in it["jobs"]] == ["a"]),
    "logs": (("a",), lambda it: "step 3/3" in json.dumps(it)),
    "monitor": ((), lambda it: it["jobs"][0]["metrics"]["loss"] > 0),
    "events": (("a",), lambda it: it["event"] in {"started", "ended"}),
    "rerun": (("a", "--name", "b"), lambda it: it["of"] == "remote-1"),
    "runs": ((), lambda it: len(it["runs"]) == 2),
    "show": (("a",), lambda it: it["commit"]),
    "diff": (("a", "b"), lambda it: it["runs"] == ["remote-1", "remote-2"]),
    "plot": (("a",), lambda it: len(it["series"][0]["points"]) == 3),
    "export": (("--format", "json"), lambda it: it["runs"] == 2),
    "note": (("a", "good"), lambda it: it["note"] == "good"),
    "tag": (("a", "paper"), lambda it: it["tags"] == ["paper"]),
    "untag": (("a", "paper"), lambda it: it["tags"] == []),
    "pin": (("a",), lambda it: it["pinned"]),
    "fetch": (("b",), lambda it: "models/0.5.pt" in json.dumps(it["files"])),
    "move": (("waits", "--to", "first"), lambda it: it["job"]["state"] == "queued"),
    "stop": (("long",), lambda it: it["job"]["state"] == "stopped"),
    "on-idle": (
        ("--ignore-others", "--leave", "a", "--command", "echo idle"),
        lambda it: it["command"] == "echo idle",
    ),
    "reset": ((), lambda it: it["commit_after"]),
    "audit": ((), lambda it: it["entries"]),
    "agent": ((), lambda it: "agents" in it),
    "logout": ((), lambda it: it["ended"]),
}


def ask(machine: LinkedMachine, verb: str, words: tuple[str, ...]) -> tuple[int, Any]:
    """Run a verb with `--json`; return its exit code and the first object it printed."""
    code, stdout, stderr = machine.verb(verb, "--json", *words)
    assert stdout, f"{verb}: {code} {stderr}"
    return code, json.loads(stdout.splitlines()[0])


def prepare(machine: LinkedMachine, verb: str) -> None:
    """See to what a verb needs beside what the verbs before it left."""
    if verb == "sync":
        machine.git.commit({"more.txt": "more\n"}, "More")
    if verb == "put":
        machine.git.write({"data.txt": "some data\n"})
    if verb == "runs":
        code, answer = ask(machine, "wait", ("b",))
        assert code == 0, answer
    if verb == "move":
        for words in (("--name", "long"), ("--name", "waits", "--after", "long")):
            line = (*words, "--gpus", "0", "--command", "sleep 7861")
            code, answer = ask(machine, "train", line)
            assert code == 0, answer
    if verb == "stop":
        assert ask(machine, "stop", ("waits",))[0] == 0


def outcome(machine: LinkedMachine, verb: str) -> str:
    """Return what a verb did: "" where its plain good case went well."""
    words, check = STEPS[verb]
    prepare(machine, verb)
    code, answer = ask(machine, verb, words)
    if "error" in answer:
        return f"{code}: {answer['error']['message']}"
    try:
        good = code == 0 and check(answer)
    except (KeyError, IndexError, TypeError):
        good = False
    return "" if good else f"{code}: {json.dumps(answer)[:600]}"


def agrees(said: str, happened: str) -> bool:
    """Whether what the page says of a verb is what happened."""
    if refused := _QUOTED.match(said):
        return refused[1] in happened
    return bool(re.match("works|differs: ", said)) and not happened


class Greeter(socketserver.StreamRequestHandler):
    """Whoever connects is greeted."""

    def handle(self) -> None:
        self.wfile.write(b"through")


def tunnelled(machine: LinkedMachine) -> str:
    """Return what came of `tunnel` to a port there on which something listens."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeter) as there:
        threading.Thread(target=there.serve_forever, daemon=True).start()
        with Child(
            [PROGRAM, "tunnel", str(there.server_address[1]), "--local", "0", "--json"],
            cwd=machine.git.clone,
            env=machine.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as client:
            assert client.stdout
            answer = json.loads(client.stdout.readline())
            if "error" in answer:
                return str(answer["error"]["message"])
            here = socket.create_connection(("127.0.0.1", answer["local_port"]), 30)
            with here:
                greeting = here.recv(7, socket.MSG_WAITALL)
            client.send_signal(signal.SIGINT)
            client.wait(20)
        there.shutdown()
    return "" if greeting == b"through" else repr(greeting)


def typed_into(machine: LinkedMachine) -> str:
    """Return what came of a line that was typed into `shell`."""
    with Terminal(PROGRAM, "shell", cwd=machine.git.clone, env=machine.env) as terminal:
        terminal.types("echo at-$((40+2)) $HOME\n")
        shown = terminal.shown(f"at-42 {machine.home}", within_s=30)
        terminal.types("exit\n")
        return "" if shown else terminal.text()


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "link", ["openssh", *slow("fabric", "command", "local", "slurm")]
)
def test_every_verb_over_this_link_does_what_the_table_says(
    link: str, tmp_path: Path, git_project: GitProject
) -> None:
    ignored = "models/\nlogs/\ndata.txt\n"
    files = {"sandbox.toml": CONFIGURED, "train.py": TRAINING, ".gitignore": ignored}
    git_project.commit(files, push=True)
    said = {verb: cells[link] for verb, cells in table().items()}
    with linked_machine(link, tmp_path / "machine", git_project) as machine:
        happened: dict[str, str] = {}
        for verb in STEPS:
            happened[verb] = outcome(machine, verb)
            if verb == "run":
                happened["tunnel"] = tunnelled(machine)
                happened["shell"] = typed_into(machine)
            if verb == "agent":
                shown = ask(machine, "agent", ())[1]["agents"]
                assert bool(shown) == (link == "fabric")
    wrong = {
        verb: (said[verb], what)
        for verb, what in happened.items()
        if not agrees(said[verb], what)
    }
    assert wrong == {}
