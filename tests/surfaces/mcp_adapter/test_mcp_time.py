"""Calls that take their time: heartbeats, cancellation, many at once, the end."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol, TypeVar

import processes
import pytest
from mcp import Client
from mcp_server import parameters, text, wire
from slow import slow
from sshd import SshServer
from waiting import wait_until

T = TypeVar("T")


class Play(Protocol):
    """Plays a scenario with a client of a server process."""

    def __call__(self, scenario: Callable[[Client], Awaitable[T]]) -> T: ...


@pytest.fixture(params=["auto", *slow("legacy")])
def play(request: pytest.FixtureRequest, sshd: SshServer, tmp_path: Path) -> Play:
    sshd.write_toml(tmp_path)

    def run(scenario: Callable[[Client], Awaitable[T]]) -> T:
        async def main() -> T:
            server = parameters({}, tmp_path)
            async with Client(server, mode=request.param) as client:
                return await scenario(client)

        return asyncio.run(main())

    return run


def pid_in(path: Path) -> int:
    return int(wait_until(lambda: path.exists() and path.read_text("utf-8").strip()))


def test_a_heartbeat_says_the_time_and_the_last_line(play: Play) -> None:
    beats: list[tuple[float, str | None]] = []

    async def beat(progress: float, total: float | None, message: str | None) -> None:
        assert total is None
        beats.append((progress, message))

    async def scenario(client: Client) -> None:
        arguments = {"command": "echo step 1; sleep 4.5; echo step 2"}
        result = await client.call_tool(
            "remote_bash", arguments, progress_callback=beat
        )
        assert text(result) == "step 1\nstep 2"

    play(scenario)
    assert len(beats) >= 2  # more on a machine that is slow to end it
    assert sorted(beats) == beats
    assert (beats[0][1] or "").endswith(": step 1")
    for progress, message in beats:
        assert progress > 1.9
        assert message
        assert message.endswith((": step 1", ": step 2"))


def test_a_cancelled_command_is_dead_within_three_seconds(
    play: Play, tmp_path: Path
) -> None:
    pid_file = tmp_path / "pid"

    async def scenario(client: Client) -> None:
        arguments = {"command": f"echo $$ > {pid_file}; sleep 300; true"}
        call = asyncio.ensure_future(client.call_tool("remote_bash", arguments))
        pid = await asyncio.to_thread(pid_in, pid_file)
        call.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await call
        await asyncio.to_thread(
            wait_until, lambda: not processes.alive(pid), 3, what="its end"
        )
        result = await client.call_tool("remote_bash", {"command": "echo on"})
        assert text(result) == "on"

    play(scenario)


@pytest.mark.slow
def test_sixty_commands_under_way_delay_no_other(play: Play) -> None:
    async def scenario(client: Client) -> None:
        async def bash(command: str) -> str:
            arguments = {"command": command, "timeout": 300_000}
            return text(await client.call_tool("remote_bash", arguments))

        sleep = f"sleep 3017.{os.getpid()}"  # not that of a test beside this one
        waiting = [asyncio.ensure_future(bash(sleep)) for _ in range(60)]
        while await bash(f"pgrep -fc '^{sleep}'") != "60":
            pass
        for _ in range(10):
            assert await bash("echo quick") == "quick"
        for _ in range(50):
            assert len((await client.list_tools()).tools) == 5
        assert not any(answer.done() for answer in waiting)
        await bash(f"pkill -f '^{sleep}'")
        for answer in await asyncio.gather(*waiting):
            assert answer.startswith("exit code 143 (signal TERM")

    play(scenario)


def test_a_foreground_command_goes_on_when_the_client_leaves(
    sshd: SshServer, tmp_path: Path
) -> None:
    sshd.write_toml(tmp_path)
    pid_file, done = tmp_path / "pid", tmp_path / "done"
    command = f"echo $$ > {pid_file}; sleep 2; touch {done}"
    with wire({}, tmp_path) as server:
        server.begin()
        server.call(2, "remote_bash", command=command)
        pid = pid_in(pid_file)
        assert server.leave() == 0
    assert processes.alive(pid)
    wait_until(done.exists)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.slow
def test_a_job_goes_on_when_the_server_is_killed_and_a_new_one_finds_it(
    number: signal.Signals, sshd: SshServer, tmp_path: Path
) -> None:
    sshd.write_toml(tmp_path)
    gate = tmp_path / "gate"
    command = f"until [ -e {gate} ]; do sleep 0.05; done; echo survived"
    with wire({}, tmp_path) as server:
        server.begin()
        server.call(2, "remote_bash", command=command, run_in_background=True)
        job = server.answer(2)["result"]["content"][0]["text"].split()[0]
        server.process.send_signal(number)
        server.process.wait(5)
    gate.touch()
    with wire({}, tmp_path) as server:
        server.begin()
        for request_id in range(2, 200):
            server.call(request_id, "remote_bash_output", bash_id=job)
            answer = server.answer(request_id)["result"]["content"][0]["text"]
            if "running" not in answer:
                break
    assert answer.startswith(f"{job}: succeeded (exit code 0)")
    assert answer.endswith("\nsurvived")
