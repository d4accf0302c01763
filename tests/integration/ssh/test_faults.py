"""Dead links and frozen hosts: noticed in time, reconnected where possible, never reported wrongly."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cable import cable
from network import black_hole, private_network, restore_network
from processes import descendants
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import CommandResult, EndKind, JobState, Sandbox
from sandbox_ops.engines.foreground import Call
from sandbox_ops.errors import ConnectError, ConnectionLostError
from sandbox_ops.machine import jobs

NOTICED_S = 15
ANSWERED_S = 15 + 2  # after it was noticed; a busy machine may be late by so much
TOLD_S = 20 + 2  # the same
Make = Callable[..., SshServer]


@pytest.fixture
def network() -> Iterator[None]:
    with private_network():
        yield


def in_mid_command(sandbox: Sandbox, command: str) -> Call:
    call = sandbox.submit(command)
    wait_until(lambda: call.job_id)
    return call


def notice(sandbox: Sandbox, fault: str) -> float:
    started = time.monotonic()
    wait_until(
        lambda: not sandbox.connection.is_connected, NOTICED_S, what="the fault noticed"
    )
    return measured(f"{fault}: noticed", time.monotonic() - started)


def answer(call: Call, fault: str, since: float) -> CommandResult:
    """Wait for the answer; `since` is when the fault began. It took 23 s."""
    result = call.future.result(ANSWERED_S)
    assert measured(f"{fault}: answered", time.monotonic() - since) < TOLD_S
    return result


def measured(what: str, seconds: float) -> float:
    print(f"{what}: {seconds:.1f} s")  # noqa: T201  # for docs/reference/faults.md
    return seconds


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_black_holed_link_is_noticed_and_the_job_named(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        call = in_mid_command(sandbox, "echo partial; sleep 7301")
        wait_until(lambda: jobs.output(sandbox, str(call.job_id)).data)
        black_hole(server.port)
        fault_at = time.monotonic()
        notice(sandbox, "black hole")
        started = time.monotonic()
        more = [
            sandbox.submit("true") for _ in range(16)
        ]  # more than there are workers
        result = answer(call, "black hole", fault_at)
        for each in more:
            error = each.future.exception(ANSWERED_S)
            assert isinstance(error, ConnectError)
            assert "was never sent" in error.message
        measured("16 more commands: answered", time.monotonic() - started)
        assert time.monotonic() - started < ANSWERED_S
        assert (result.end, result.job.state) == (
            EndKind.CONNECTION_LOST,
            JobState.UNKNOWN,
        )
        assert result.job.id == call.job_id
        restore_network()
        assert jobs.get(sandbox, str(call.job_id)).state is JobState.RUNNING
        jobs.stop(sandbox, str(call.job_id), grace_s=0)


@pytest.mark.usefixtures("network")
def test_a_link_that_comes_back_is_reconnected_and_the_real_end_answered(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        call = in_mid_command(sandbox, "echo one; sleep 8; echo two; exit 9")
        black_hole(server.port)
        notice(sandbox, "link that comes back")
        restore_network()
        result = call.future.result(30)
    assert (result.end, result.exit_code) == (EndKind.EXITED, 9)
    assert result.stdout.text == "one\ntwo\n"


@pytest.mark.slow
def test_a_frozen_host_is_noticed_although_its_kernel_answers(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        call = in_mid_command(sandbox, "sleep 7311")
        below = (process.pid for process in descendants(server.listener_pid))
        frozen = {server.listener_pid, *below, *server.leftovers()}  # the job as well
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        fault_at = time.monotonic()
        try:
            notice(sandbox, "frozen host")
            result = answer(call, "frozen host", fault_at)
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)
        assert result.end is EndKind.CONNECTION_LOST
        assert jobs.get(sandbox, str(call.job_id)).state is JobState.RUNNING
        jobs.stop(sandbox, str(call.job_id), grace_s=0)


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_link_that_died_between_commands_is_found_dead_by_the_next(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
        black_hole(server.port)
        started = time.monotonic()
        with pytest.raises(ConnectionLostError, match="did not come back"):
            sandbox.request("look")
        took = measured("died between commands: answered", time.monotonic() - started)
        assert took < 10 + ANSWERED_S
        restore_network()
        assert sandbox.run("echo again").stdout.text == "again\n"


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_link_that_died_while_idle_costs_the_next_command_nothing_but_a_connect(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
        black_hole(server.port)
        notice(sandbox, "idle link")
        restore_network()
        started = time.monotonic()
        assert sandbox.run("echo again").stdout.text == "again\n"
        assert measured("idle link: next command", time.monotonic() - started) < 5


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_command_that_was_never_sent_is_an_error_that_says_so(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("true").ok
        black_hole(server.port)
        notice(sandbox, "idle link")
        started = time.monotonic()
        with pytest.raises(ConnectError, match="was never sent") as caught:
            sandbox.run("touch ~/was-run")
        assert not isinstance(caught.value, ConnectionLostError)
        took = measured("idle link: answered", time.monotonic() - started)
        assert took < ANSWERED_S
        restore_network()
        assert [job.command for job in jobs.recent(sandbox, include_commands=True)] == [
            "true"
        ]


@pytest.mark.parametrize("reset", [True, False], ids=["RST", "FIN"])
def test_a_cut_link_is_reconnected_in_mid_command_and_between_commands(
    make_sshd: Make, tmp_path: Path, *, reset: bool
) -> None:
    server = make_sshd()
    with cable(server.host, server.port) as laid:
        known = tmp_path / "known_hosts"
        key = server.known_hosts.read_text().split(maxsplit=1)[1]
        known.write_text(f"[{server.host}]:{laid.port} {key}")
        config = server.config(port=laid.port, known_hosts=str(known))
        with Sandbox(config) as sandbox:
            call = in_mid_command(sandbox, "echo one; sleep 1; echo two; exit 5")
            laid.cut(reset=reset)
            result = call.future.result(20)
            assert (result.end, result.exit_code) == (EndKind.EXITED, 5)
            assert result.stdout.text == "one\ntwo\n"
            laid.cut(reset=reset)
            started = time.monotonic()
            assert sandbox.run("echo next").stdout.text == "next\n"
            measured("cut between commands: next one", time.monotonic() - started)
            assert len(jobs.recent(sandbox, include_commands=True)) == 2
        assert laid.links == 3


def test_what_fabric_s_run_began_is_never_repeated_and_its_end_not_invented(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox, ThreadPoolExecutor(1) as thread:
        command = f"echo ran >>{server.home}/times; sleep 30"
        run = thread.submit(sandbox.connection.run, command, hide=True)
        wait_until((server.home / "times").exists)
        for pid in server.session_pids():
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(ConnectionLostError, match="is unknown"):
            run.result(20)
        assert sandbox.connection.run("echo next", hide=True).stdout == "next\n"
    assert (server.home / "times").read_text() == "ran\n"


@pytest.mark.usefixtures("network")
def test_a_connect_into_a_black_hole_is_given_up_within_ten_seconds(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    black_hole(server.port)
    started = time.monotonic()
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(ConnectError, match="no answer within"),
    ):
        sandbox.run("true")
    assert measured("connect: given up", time.monotonic() - started) < 10


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_those_who_wait_for_one_connect_are_all_reported_when_it_fails(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    black_hole(server.port)
    started = time.monotonic()
    with Sandbox(server.config()) as sandbox:
        calls = [sandbox.submit("true") for _ in range(16)]
        errors = [call.future.exception(20) for call in calls]
        assert measured("16 connects: given up", time.monotonic() - started) < 10
    assert {type(error) for error in errors} == {ConnectError}


def test_a_start_whose_answer_was_lost_is_one_job(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
        calls = [sandbox.submit(f"sleep 0.3; echo {n}") for n in range(20)]
        for pid in server.session_pids():
            os.kill(pid, signal.SIGKILL)
        results = [call.future.result(40) for call in calls]
        assert [r.stdout.text for r in results] == [f"{n}\n" for n in range(20)]
        commands = [
            job.command for job in jobs.recent(sandbox, 50, include_commands=True)
        ]
    for n in range(20):
        assert commands.count(f"sleep 0.3; echo {n}") == 1
