"""remote_bash_output against a real sshd, as an agent calls it."""

import asyncio
import re
from pathlib import Path

from mcp_server import Ask, cursor, ended, output, started
from sshd import SshServer
from waiting import wait_until

from mcp_adapter.tools import Tools
from sandbox_ops.machine.sandboxes import Sandboxes


def test_a_job_is_read_by_cursors_and_nothing_is_lost_or_twice(
    ask: Ask, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    command = f"echo one; until [ -e {gate} ]; do sleep 0.05; done; echo two; exit 4"
    job = started(ask("remote_bash", command=command, run_in_background="true")[0])

    def read(words: str, **more: str) -> str:
        def found() -> str:
            answer = ask("remote_bash_output", bash_id=job, **more)[0]
            return answer if re.search(words, answer) else ""

        return wait_until(found)

    first = read(r"\none$")
    assert first.startswith(f"{job}: running, ")
    assert output(first) == "one"
    nothing = read(r"\nnothing new\n", since=cursor(first))
    assert output(nothing) == ""
    assert cursor(nothing) == cursor(first)
    gate.touch()
    last = read("failed", since=cursor(first))
    assert last.startswith(f"{job}: failed (exit code 4), ")
    assert output(last) == "two"
    assert output(read("two", since=cursor(first))) == "two"  # nobody stole it
    assert output(read("two")) == "one\ntwo"


def test_a_filter_keeps_the_lines_that_match_and_says_what_it_searched(
    ask: Ask,
) -> None:
    job = ended(ask, "for i in 1 2 3; do echo step $i loss $i.5; echo noise; done")
    answer, _ = ask("remote_bash_output", bash_id=job, filter=r"loss [23]")
    assert output(answer) == "step 2 loss 2.5\nstep 3 loss 3.5"
    assert "2 of 6 lines match in all " in answer


def test_a_bad_filter_is_reported_with_its_position(ask: Ask) -> None:
    answer, is_error = ask("remote_bash_output", bash_id="remote-1", filter="loss(")
    assert is_error
    assert answer.startswith("bad pattern at position 4: missing ) in loss(\n")


def test_the_deadline_of_a_job_ends_it(ask: Ask) -> None:
    job = ended(ask, "echo begun; sleep 300", timeout=400)
    answer, is_error = ask("remote_bash_output", bash_id=job)
    assert not is_error
    assert answer.startswith(f"{job}: timed-out")
    assert output(answer) == "begun"


def test_a_progress_bar_is_shown_in_its_last_state(ask: Ask) -> None:
    job = ended(ask, r"for i in $(seq 100); do printf '\r%d%%' $i; done; echo")
    assert output(ask("remote_bash_output", bash_id=job)[0]) == "100%"


def test_a_huge_log_is_read_from_its_end(ask: Ask) -> None:
    job = ended(ask, "seq 1 3000000")
    answer, _ = ask("remote_bash_output", bash_id=job)
    assert len(answer) < 11_000
    assert answer.endswith("\n3000000")
    assert re.search(r"the last 9\.\d KiB of 21\.\d MiB of output; log: /", answer)


def test_an_unknown_id_is_reported_with_the_known_ones(ask: Ask) -> None:
    job = ended(ask, "true")
    answer, is_error = ask("remote_bash_output", bash_id="remote-99999")
    assert is_error
    assert job in answer


def test_a_cursor_of_another_job_is_refused(ask: Ask) -> None:
    one, two = ended(ask, "echo 1"), ended(ask, "echo 2")
    place = cursor(ask("remote_bash_output", bash_id=one)[0])
    answer, is_error = ask("remote_bash_output", bash_id=two, since=place)
    assert is_error
    assert f"`since` is a cursor of {one}, not of {two}" in answer


def test_a_job_is_found_by_another_server(
    ask: Ask, sshd: SshServer, tmp_path: Path
) -> None:
    job = ended(ask, "echo kept")
    sshd.write_toml(tmp_path)
    machines = Sandboxes(tmp_path, {})

    async def main() -> str:
        tools = Tools(machines)
        return (await tools.call("remote_bash_output", {"bash_id": job})).text

    assert output(asyncio.run(main())) == "kept"
    machines.close()
