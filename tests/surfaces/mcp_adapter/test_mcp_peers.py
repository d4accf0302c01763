"""What other servers of the kind were measured on, asked of ours; see mcp-tools.md.

The rows that another test covers are not here: docs/reference/mcp-tools.md names it.
Bounds of time are wide, for busy machines; what is measured goes into the test report
(`--junitxml=FILE -o junit_family=xunit1`), from which the table is made.
"""

import json
import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
import pytest
from mcp_server import Wire, cursor, output, started, wire
from sshd import SshServer
from waiting import wait_until

Record = Callable[[str, object], None]
MakeSshd = Callable[..., SshServer]
MB = 1_000_000
BAR = "=" * 32


@dataclass
class Agent:
    """Calls tools of a server process, one after the other or at once."""

    wire: Wire
    asked: int = 1

    def send(self, tool: str, **arguments: Any) -> int:  # noqa: ANN401
        self.asked += 1
        self.wire.call(self.asked, tool, **arguments)
        return self.asked

    def ask(self, tool: str, **arguments: Any) -> str:  # noqa: ANN401
        return text_of(self.wire.answer(self.send(tool, **arguments)))

    def bash(self, command: str, **more: Any) -> str:  # noqa: ANN401
        return self.ask("remote_bash", command=command, **more)

    @property
    def peak_mb(self) -> float:
        """The most memory the server ever had, in MB."""
        path = Path(f"/proc/{self.wire.process.pid}/status")
        (line,) = re.findall(r"VmHWM:\s+(\d+) kB", path.read_text("utf-8"))
        return int(line) * 1024 / MB


def text_of(message: dict[str, Any]) -> str:
    (content,) = message["result"]["content"]
    assert set(message["result"]) <= {"content", "isError"}  # nothing twice
    text = content["text"]
    assert isinstance(text, str)
    return text


@pytest.fixture(scope="module")
def agent(sshd: SshServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    folder = tmp_path_factory.mktemp("peers")
    sshd.write_toml(folder)
    with wire({}, folder) as server:
        server.begin()
        yield Agent(server)


@pytest.fixture
def own(make_sshd: MakeSshd, tmp_path: Path) -> Iterator[tuple[Agent, SshServer]]:
    """An agent with a machine that may be hurt."""
    machine = make_sshd()
    machine.write_toml(tmp_path)
    with wire({}, tmp_path) as server:
        server.begin()
        yield Agent(server), machine


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def test_it_holds_little_memory_while_it_waits(
    tmp_path: Path, record_property: Record
) -> None:
    with wire({}, tmp_path) as server:
        server.begin()
        peak = Agent(server).peak_mb
    record_property("memory after the start, MB", round(peak))
    assert peak < 90


def test_ten_commands_at_once_do_not_wait_for_each_other(
    agent: Agent, tmp_path: Path
) -> None:
    """Each ends when all ten have begun: one after the other none ever would."""
    answers: dict[int, str] = {}
    all_begun = f'until [ "$(ls {tmp_path} | wc -l)" = 10 ]; do sleep 0.05; done'
    sent = {
        agent.send(
            "remote_bash", command=f"touch {tmp_path}/{n}; {all_begun}; echo {n}"
        ): n
        for n in range(10)
    }
    while len(answers) < len(sent):
        message = agent.wire.receive()
        answers[sent[message["id"]]] = text_of(message)
    assert answers == {n: str(n) for n in range(10)}


def test_ten_megabytes_come_as_head_and_tail_in_little_memory(
    agent: Agent, record_property: Record
) -> None:
    answers: list[str] = []
    command = "yes 0123456789 | head -c 10000000; echo; echo the end"
    took = timed(lambda: answers.append(agent.bash(command)))
    (answer,) = answers
    record_property("10 MB output, ms", round(took))
    record_property("10 MB output, bytes returned", len(answer.encode()))
    record_property("10 MB output, peak RSS MB", round(agent.peak_mb))
    assert len(answer) <= 30_000
    assert answer.endswith("\nthe end")
    assert "remote_file_read(" in answer
    assert agent.peak_mb < 130


@pytest.fixture(scope="module")
def huge(agent: Agent) -> str:
    """An ended job with 2 million lines, 90 MB."""
    command = f"seq -f 'step %.0f {BAR}' 2000000"
    job = started(agent.bash(command, run_in_background=True))
    succeeded = re.compile(f"{job}: succeeded")
    wait_until(
        lambda: succeeded.match(agent.ask("remote_bash_output", bash_id=job)),
        timeout_s=40,
        what="90 MB",
    )
    return job


def test_a_poll_costs_what_is_shown_and_the_next_what_is_new(
    agent: Agent, huge: str, record_property: Record
) -> None:
    answers: list[str] = []

    def poll(**more: str) -> float:
        call = {"bash_id": huge, **more}
        return timed(lambda: answers.append(agent.ask("remote_bash_output", **call)))

    first, second = poll(), poll(since=cursor(answers[0]))
    record_property("poll at 90 MB, ms", round(first, 1))
    record_property("poll at 90 MB, bytes", len(answers[0].encode()))
    record_property("second poll, ms", round(second, 1))
    record_property("second poll, bytes", len(answers[1].encode()))
    record_property("... peak RSS MB", round(agent.peak_mb))
    assert output(answers[0]).endswith(f"step 2000000 {BAR}")
    assert len(answers[0]) < 4_000
    assert output(answers[1]) == ""
    assert len(answers[1]) < 300
    assert agent.peak_mb < 130


def test_fifty_lines_cost_the_same_at_the_end_and_little_in_the_middle(
    agent: Agent, huge: str, record_property: Record
) -> None:
    path = re.search(r"log: (/\S+)", agent.ask("remote_bash_output", bash_id=huge))
    assert path
    answers: list[str] = []

    def read(**lines: int) -> float:
        call = {"file_path": path[1], **lines}
        return timed(lambda: answers.append(agent.ask("remote_file_read", **call)))

    last, middle = read(limit=50), read(offset=1_000_000, limit=50)
    record_property("last 50 of 2M lines, ms", round(last, 1))
    record_property("50 lines in the middle, ms", round(middle, 1))
    assert answers[0].endswith(f"step 2000000 {BAR}")
    assert re.search(r"^1000000\tstep 1000000 =", answers[1], re.MULTILINE)
    assert [answer.count("\tstep ") for answer in answers] == [50, 50]
    assert last < 1_000
    assert middle < 4_000


def test_a_job_starts_in_a_round_trip(agent: Agent, record_property: Record) -> None:
    times = [
        timed(lambda: agent.bash("true", run_in_background=True)) for _ in range(10)
    ]
    record_property("job start, median ms", round(statistics.median(times), 1))
    assert statistics.median(times) < 300


def test_bytes_that_are_no_text_are_shown(agent: Agent) -> None:
    assert agent.bash(r"printf '\377\376ok'") == r"\xff\xfeok"


def test_characters_are_whole_wherever_a_page_ends(agent: Agent) -> None:
    line = "aä€😀" * 97
    command = f"for n in $(seq 120); do echo '{line}'; done"
    job = started(agent.bash(command, run_in_background=True))
    wait_until(lambda: "succeeded" in agent.ask("remote_bash_output", bash_id=job))
    answer = agent.ask("remote_bash_output", bash_id=job, filter="^$")
    assert "0 of 120 lines match" in answer
    head, gap, tail = agent.bash(command).partition("\n[sandbox-ops: ")
    assert gap
    tail = tail.partition("]\n")[2]
    for shown in (head, tail):
        assert set(shown.strip("\n").split("\n")[1:-1]) == {line}
        assert r"\x" not in shown


def test_after_a_timeout_the_tree_is_dead_and_the_next_command_works(
    agent: Agent, tmp_path: Path, record_property: Record
) -> None:
    pids = tmp_path / "pids"
    command = f"setsid sleep 300 & echo $! $$ > {pids}; sleep 300"
    took = timed(lambda: agent.bash(command, timeout=2000))
    record_property("timeout 2 s: reply after, ms", round(took))
    assert not any(processes.alive(int(pid)) for pid in pids.read_text().split())
    assert agent.bash("echo next") == "next"


def test_a_cancelled_command_takes_its_children_along(
    agent: Agent, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    call = agent.send(
        "remote_bash", command=f"setsid sleep 300 & echo $! $$ > {pids}; wait"
    )
    wait_until(lambda: pids.exists() and pids.read_text())
    agent.wire.send("notifications/cancelled", requestId=call, reason="enough")
    alive = [int(pid) for pid in pids.read_text().split()]
    wait_until(lambda: not any(map(processes.alive, alive)), 3, what="the tree's end")


def test_a_job_survives_the_link_and_is_read_on(
    own: tuple[Agent, SshServer], tmp_path: Path
) -> None:
    agent, machine = own
    gate = tmp_path / "gate"
    command = f"echo one; until [ -e {gate} ]; do sleep 0.05; done; echo two"
    job = started(agent.bash(command, run_in_background=True))
    wait_until(lambda: "\none" in agent.ask("remote_bash_output", bash_id=job))
    processes.end(machine.session_pids())
    answer = agent.ask("remote_bash_output", bash_id=job)  # at the first try
    assert answer.startswith(f"{job}: running, ")
    assert output(answer) == "one"
    gate.touch()
    wait_until(
        lambda: agent.ask("remote_bash_output", bash_id=job).endswith("\none\ntwo")
    )


def test_the_first_call_after_a_restart_of_sshd_works(
    own: tuple[Agent, SshServer], record_property: Record
) -> None:
    agent, machine = own
    assert agent.bash("echo before") == "before"
    machine.restart()
    answers: list[str] = []
    took = timed(lambda: answers.append(agent.bash("echo after")))
    record_property("first command after a drop, ms", round(took))
    assert answers == ["after"]


@pytest.mark.slow
def test_a_lost_connection_is_an_answer_that_says_how_to_go_on(
    own: tuple[Agent, SshServer], record_property: Record
) -> None:
    agent, machine = own
    agent.wire.send(
        "tools/call",
        call := 2,
        name="remote_bash",
        arguments={"command": "echo begun; sleep 300"},
        _meta={"progressToken": "beat"},
    )
    beat = agent.wire.receive()  # it is followed: its id is known here
    assert beat["params"]["message"].endswith(": begun")
    agent.asked = call
    machine.stop()
    answers: list[str] = []
    took = timed(lambda: answers.append(text_of(agent.wire.answer(call))))
    record_property("connection lost: said after, ms", round(took))
    assert took < 30_000
    first, *_, note = answers[0].split("\n")
    named = re.fullmatch(r"connection lost: it is not known how (cmd-\d+) ended", first)
    assert named, answers
    assert "do not start it again" in note
    assert f'remote_bash_output(bash_id="{named[1]}")' in note
    machine.start(busy=True)
    answer = agent.ask("remote_bash_output", bash_id=named[1])
    assert answer.startswith(f"{named[1]}: running, ")


def test_an_unknown_host_key_is_refused_with_the_command_that_trusts_it(
    make_sshd: MakeSshd, tmp_path: Path
) -> None:
    machine = make_sshd()
    machine.known_hosts.write_text("")
    machine.write_toml(tmp_path)
    with wire({}, tmp_path) as server:
        server.begin()
        answer = Agent(server).bash("true")
    assert "SHA256:" in answer
    assert "sandbox-ops trust" in answer
    assert "Accepted publickey" not in machine.log


def test_a_changed_host_key_is_refused(own: tuple[Agent, SshServer]) -> None:
    agent, machine = own
    assert agent.bash("echo before") == "before"
    machine.new_host_key()
    answer = agent.bash("echo after")
    assert "after" not in answer.split("\n")
    assert "changed" in answer


def test_a_tools_list_is_small(agent: Agent, record_property: Record) -> None:
    agent.asked += 1
    agent.wire.send("tools/list", agent.asked)
    result = agent.wire.answer(agent.asked)["result"]
    size = len(json.dumps(result, separators=(",", ":")).encode())
    record_property("tools / size of tools/list", f"{len(result['tools'])} / {size} B")
    assert size < 4_000
