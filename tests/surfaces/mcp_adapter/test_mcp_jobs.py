"""Finding jobs, waiting for them, ending them, fetching files: the tools, as an agent calls them."""

import asyncio
import hashlib
import re
import threading
from pathlib import Path

import processes
import pytest
from mcp_server import ERAS, Ask, asker, cursor, ended, output, started
from sshd import SshServer
from waiting import wait_until

from mcp_adapter.tools import Tools
from sandbox_ops.machine.sandboxes import Sandboxes


def background(ask: Ask, command: str) -> str:
    return started(ask("remote_bash", command=command, run_in_background=True)[0])


def _is_over(line: str) -> bool:
    """Whether it is a command that left nothing running, as one of another test may have."""
    return line.startswith("cmd-") and "still live" not in line


def test_without_an_id_the_jobs_are_listed_those_that_run_first(ask: Ask) -> None:
    running = background(ask, "echo 'my training' >/dev/null; exec sleep 300")
    done = ended(ask, "exit 3")
    ask("remote_bash", command="true # a command")
    listed, is_error = ask("remote_bash_output")
    assert not is_error
    lines = listed.split("\n")
    assert re.match(rf"{running} running, .*my training.*; started .* ago$", lines[0])
    places = [n for n, line in enumerate(lines) if line.startswith(f"{done} failed")]
    assert places
    assert "(exit code 3)" in lines[places[0]]
    commands = [n for n, line in enumerate(lines) if _is_over(line)]
    assert not commands or min(commands) > places[0]
    few = ask("remote_bash_output", limit=1)[0]
    assert "next: remote_bash_output(limit=5)" in few
    ask("remote_bash_stop", bash_id=running)


def test_a_job_stays_in_the_list_however_many_commands_came_after_it(ask: Ask) -> None:
    job = ended(ask, "echo early")
    for _ in range(25):
        ask("remote_bash", command="true")
    listed = ask("remote_bash_output")[0].splitlines()
    assert [line for line in listed if line.startswith(f"{job} succeeded")], listed
    assert len([line for line in listed if _is_over(line)]) == 5
    assert f"{job} succeeded" in ask("remote_bash_output", limit=1)[0]


def test_a_program_that_is_not_there_is_told_where_a_job_starts(ask: Ask) -> None:
    command = "no-such-program train.py"
    told = "It has ended already: failed (exit code 127: command not found)"

    def is_told() -> (
        bool
    ):  # not by a machine that needs longer for it than a start waits
        answer, _ = ask("remote_bash", command=command, run_in_background=True)
        return told in answer

    wait_until(is_told, 30)


@pytest.mark.parametrize("name", ["last", "number"])
def test_a_job_is_found_by_its_number_and_as_the_last(ask: Ask, name: str) -> None:
    job = ended(ask, "echo found")
    ask("remote_bash", command="true # a command, which is newer, is not meant")
    bash_id = "last" if name == "last" else job.removeprefix("remote-")
    answer, _ = ask("remote_bash_output", bash_id=bash_id)
    assert answer.startswith(f"{job}: succeeded")


def test_a_wait_answers_at_the_end_of_the_job(ask: Ask, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    job = background(
        ask, f"until [ -e {gate} ]; do sleep 0.05; done; echo done; exit 4"
    )
    opener = threading.Timer(0.5, gate.touch)
    opener.start()
    answer, is_error = ask("remote_bash_output", bash_id=job, wait=30_000)
    assert not is_error
    assert answer.startswith(f"{job}: failed (exit code 4)")
    assert output(answer) == "done"


def test_a_wait_answers_at_the_first_line_that_matches(
    ask: Ask, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    command = f"until [ -e {gate} ]; do sleep 0.05; done; echo epoch 1; exec sleep 300"
    job = background(ask, command)
    threading.Timer(0.5, gate.touch).start()
    answer, _ = ask("remote_bash_output", bash_id=job, wait=30_000, filter=r"epoch \d")
    assert answer.startswith(f"{job}: running")
    assert "\nmatched: epoch 1\n" in answer
    assert f'end it: remote_bash_stop(bash_id="{job}")' in answer
    ask("remote_bash_stop", bash_id=job)


def test_a_warning_is_reported_once_and_the_next_wait_goes_on(ask: Ask) -> None:
    job = background(
        ask,
        "for i in 1 2 3; do echo step $i/9 loss=0.$i; done; echo step 4/9 loss=nan;"
        " exec sleep 300",
    )
    answer, _ = ask("remote_bash_output", bash_id=job, wait=30_000)
    assert re.search(r"^warning: .*nan", answer, re.MULTILINE | re.IGNORECASE), answer
    again, _ = ask("remote_bash_output", bash_id=job, wait=700, since=cursor(answer))
    assert "\nnothing happened in that time\n" in again
    ask("remote_bash_stop", bash_id=job)


def test_of_several_jobs_the_first_that_ends_is_reported(ask: Ask) -> None:
    slow, quick = background(ask, "exec sleep 300"), background(ask, "sleep 0.3")
    answer, _ = ask("remote_bash_output", bash_id=f"{slow},{quick}", wait=30_000)
    assert answer.startswith(f"{quick}: succeeded")
    answer, is_error = ask("remote_bash_output", bash_id=f"{slow},{quick}")
    assert is_error
    assert "`wait`" in answer
    ask("remote_bash_stop", bash_id=slow)


def test_a_hundred_waits_hold_up_no_other_call(machines: Sandboxes) -> None:
    tools = Tools(machines)

    async def main() -> None:
        bash = {"command": "exec sleep 300", "run_in_background": True}
        job = started((await tools.call("remote_bash", bash)).text)
        waits = [
            asyncio.ensure_future(
                tools.call("remote_bash_output", {"bash_id": job, "wait": 60_000})
            )
            for _ in range(100)
        ]
        await asyncio.sleep(0)
        threads = threading.active_count()
        answer = await asyncio.wait_for(tools.call("remote_bash", {"command": "echo hi"}), 20)  # fmt: skip
        assert answer.text == "hi"
        assert threading.active_count() < threads + 40
        for wait in waits[:50]:
            wait.cancel()
        await tools.call("remote_bash_stop", {"bash_id": job})
        answers = await asyncio.wait_for(asyncio.gather(*waits[50:]), 30)
        assert all(answer.text.startswith(f"{job}: stopped") for answer in answers)

    asyncio.run(main())


def test_the_first_look_at_a_long_log_is_short_and_a_limit_asks_for_more(
    ask: Ask,
) -> None:
    job = ended(ask, "for i in $(seq 2000); do echo line number $i of many; done")
    first, _ = ask("remote_bash_output", bash_id=job)
    assert len(first) < 3_500
    some, _ = ask("remote_bash_output", bash_id=job, limit=500)
    assert output(some).split("\n")[0] == "line number 1501 of many"
    assert output(some).endswith("line number 2000 of many")
    none, _ = ask("remote_bash_output", bash_id=job, since=cursor(some))
    assert "nothing new" in none
    matches, _ = ask("remote_bash_output", bash_id=job, filter="number 1.*", limit=2)
    assert output(matches).split("\n") == [
        "line number 1998 of many",
        "line number 1999 of many",
    ]


def test_a_job_of_this_session_is_ended_in_one_call(ask: Ask, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    job = background(ask, f"setsid sleep 300 & echo $! $$ > {pids}; wait")
    wait_until(lambda: pids.exists() and pids.read_text().split()[1:])
    outcome, is_error = ask("remote_bash_stop", bash_id=job)
    assert not is_error
    assert outcome.startswith(f"{job} stopped")
    assert not any(map(processes.alive, map(int, pids.read_text().split())))


@pytest.mark.parametrize("era", ERAS)
def test_a_job_of_another_session_is_ended_only_when_confirmed(
    era: str, ask: Ask, sshd: SshServer, tmp_path: Path
) -> None:
    sshd.write_toml(tmp_path)
    other = Sandboxes(tmp_path, {}, started_by="agent 2 of eve@laptop")
    job = background(asker(other, era), "exec sleep 300")
    outcome, is_error = ask("remote_bash_stop", bash_id=job)
    assert not is_error
    assert outcome.startswith(f"nothing was done; it would end\n{job} running")
    assert "\nstarted by agent 2 of eve@laptop\n" in outcome
    assert re.search(r"\n  \d+ sleep\n", outcome)
    assert outcome.endswith(f'remote_bash_stop(bash_id="{job}", confirm=true)')
    assert ask("remote_bash_output", bash_id=job)[0].startswith(f"{job}: running")
    outcome, _ = ask("remote_bash_stop", bash_id=job, confirm=True)
    assert outcome.startswith(f"{job} stopped")
    other.close()


def test_any_file_comes_into_a_folder_that_the_user_allowed(
    sshd: SshServer, tmp_path: Path
) -> None:
    sshd.write_toml(tmp_path)
    allowed = tmp_path / "data"
    data = bytes(range(256)) * 40_000
    source = sshd.home / "results" / f"{tmp_path.name}.bin"
    source.parent.mkdir(exist_ok=True)
    source.write_bytes(data)
    machines = Sandboxes(tmp_path, {"SANDBOX_OPS_FETCH_INTO": str(allowed)})
    ask = asker(machines, "auto")
    outcome, is_error = ask("remote_fetch", path=str(source), into=f"{allowed}/run 1")
    assert not is_error, outcome
    digest = hashlib.sha256(data).hexdigest()
    assert f"  {source.name}, {len(data)} bytes sha256 {digest}" in outcome
    assert (allowed / "run 1" / source.name).read_bytes() == data
    outcome, is_error = ask(
        "remote_fetch", path=str(source), into=str(tmp_path / "else")
    )
    assert is_error
    assert "must be a folder below" in outcome
    outcome, is_error = ask("remote_fetch", path=f"{source}x", into=str(allowed))
    assert is_error
    assert re.search(rf"^ +{source.name}$", outcome, re.MULTILINE)
    machines.close()


def test_a_command_runs_where_cwd_says_and_in_the_home_without_it(
    ask: Ask, sshd: SshServer, tmp_path: Path
) -> None:
    assert ask("remote_bash", command="pwd")[0] == str(sshd.home)
    assert ask("remote_bash", command="pwd", cwd=str(tmp_path))[0] == str(tmp_path)
    answer, is_error = ask("remote_bash", command="pwd", cwd=f"{tmp_path}/none")
    assert is_error
    assert f"{tmp_path}/none" in answer


def test_an_answer_says_that_a_bare_cd_is_forgotten(ask: Ask) -> None:
    answer, is_error = ask("remote_bash", command="cd /tmp")
    assert not is_error
    assert "the next command has a new shell and forgets this" in answer
