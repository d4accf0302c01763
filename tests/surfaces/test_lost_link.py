"""A link that dies and stays dead: what could not be verified is said, in every face."""

import json
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from command_line import PROGRAM, cli
from invoke.exceptions import CommandTimedOut
from mcp_server import asker
from processes import Child
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import EndKind, JobState, Sandbox
from sandbox_ops.errors import ConnectError, ConnectionLostError
from sandbox_ops.machine import jobs
from sandbox_ops.machine.sandboxes import Sandboxes

Make = Callable[..., SshServer]


@pytest.fixture
def down(make_sshd: Make, tmp_path: Path) -> SshServer:
    """A machine that goes down in the test; `tmp_path` has its sandbox.toml."""
    server = make_sshd()
    server.write_toml(tmp_path)
    return server


def begin(place: Path, seconds: int, *options: str) -> Child:
    return Child(
        [PROGRAM, "run", *options, "--command", f"echo up >&2; exec sleep {seconds}"],
        cwd=place,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_the_command_line_says_that_what_became_of_the_tree_is_unknown(
    down: SshServer, tmp_path: Path
) -> None:
    with (
        begin(tmp_path, 7901) as plain,
        begin(tmp_path, 7902, "--json", "--timeout", "5s") as timed,
        begin(tmp_path, 7903) as interrupted,
        Sandbox(down.config()) as sandbox,
    ):
        for shown in (plain, interrupted):
            assert shown.stderr
            assert shown.stderr.readline() == "up\n"
        wait_until(lambda: len(jobs.recent(sandbox, include_commands=True)) == 3, 20)
        ids = {
            job.command[-4:]: job.id
            for job in jobs.recent(sandbox, include_commands=True)
        }
        down.stop()
        interrupted.send_signal(signal.SIGINT)
        _, output = plain.communicate(timeout=30)
        assert plain.returncode == 255
        assert f"whether {ids['7901']} ended or lives is unknown" in output
        reported, _ = timed.communicate(timeout=30)
        reply = json.loads(reported)
        assert (reply["end"], reply["tree_dead"]) == ("connection-lost", None)
        assert (timed.returncode, reply["job"]["state"]) == (255, "unknown")
        _, output = interrupted.communicate(timeout=30)
        assert interrupted.returncode == 130
        assert "whether it was stopped could not be verified, it may live on" in output
        assert f"sandbox-ops stop {ids['7903']}" in output
        down.start()
        timed_out = jobs.wait(sandbox, ids["7902"], timeout_s=20)
        assert timed_out.state is JobState.TIMED_OUT  # the deadline needs no link


@pytest.mark.slow
def test_library_and_agent_report_that_what_became_of_the_tree_is_unknown(
    down: SshServer, tmp_path: Path
) -> None:
    machines = Sandboxes(tmp_path, {})
    ask = asker(machines, "auto")
    with Sandbox(down.config()) as sandbox, ThreadPoolExecutor(1) as thread:
        cancelled = sandbox.submit("sleep 7905")
        agent = thread.submit(ask, "remote_bash", command="sleep 7904")
        wait_until(lambda: len(jobs.recent(sandbox, include_commands=True)) == 2, 20)
        down.stop()
        cancelled.cancel()
        result = cancelled.future.result(30)
        assert (result.end, result.tree_dead) == (EndKind.CONNECTION_LOST, None)
        text, is_error = agent.result(30)
    machines.close()
    assert text.startswith("connection lost: it is not known")
    assert "do not start it again" in text or "look before you run it again" in text
    assert is_error


@pytest.mark.slow
def test_a_stop_or_a_start_that_never_got_through_says_that_nothing_was_done(
    down: SshServer, tmp_path: Path
) -> None:
    server = down
    with Sandbox(server.config()) as sandbox:
        job = sandbox.start("sleep 7911")
        server.stop()
        wait_until(lambda: not sandbox.connection.is_connected, 15)
        with ThreadPoolExecutor(3) as threads:
            stop = threads.submit(jobs.stop, sandbox, job.id)
            start = threads.submit(sandbox.start, "touch ~/was-started")
            run = threads.submit(sandbox.run, "touch ~/was-run")
            for each in (stop, start, run):
                error = each.exception(30)
                assert isinstance(error, ConnectError)
                assert not isinstance(error, ConnectionLostError)
                assert "was never sent" in error.message
                assert "Nothing was done" in error.hint
        done = cli("stop", job.id, "--json", cwd=tmp_path)
        assert done.returncode == 255
        assert json.loads(done.stdout)["error"]["kind"] == "connect"
        server.start()
        assert len(jobs.recent(sandbox, include_commands=True)) == 1
        jobs.stop(sandbox, job.id, grace_s=0)
    assert list(server.home.glob("was-*")) == []


@pytest.mark.slow
def test_a_deadline_of_fabric_s_run_says_whether_the_tree_was_seen_dead(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        connection = sandbox.connection
        with pytest.raises(CommandTimedOut):
            connection.run("sleep 7921", hide=True, timeout=1)
        assert not [x for x in server.leftovers().values() if "sleep 7921" in x]
        with ThreadPoolExecutor(1) as thread:
            late = thread.submit(connection.run, "sleep 7922", hide=True, timeout=3)
            wait_until(lambda: [x for x in server.leftovers().values() if "7922" in x])
            frozen = server.session_pids()
            for pid in (server.listener_pid, *frozen):
                subprocess.run(["kill", "-STOP", str(pid)], check=True)
            try:
                error = late.exception(40)
            finally:
                for pid in (server.listener_pid, *frozen):
                    subprocess.run(["kill", "-CONT", str(pid)], check=True)
    assert isinstance(error, ConnectionLostError)
    assert "whether the command's processes are dead is unknown" in error.message
