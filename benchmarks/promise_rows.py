"""Rows about promises of time: what shall be over within so many seconds."""

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator

import records
from bench import Bench, opened, run_true
from gitproject import make_git_project
from mcp_server import Wire, wire
from measure import Beside, Row, once, seconds
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.errors import ConnectError
from sandbox_ops.machine import jobs
from sandbox_ops.workflows.setup import setup

_OLD_JOBS = 3000
_LONG_COMMANDS = 40
_BESIDE = 60


def promises(bench: Bench) -> Iterator[Row]:
    """Say how soon that is over for which tests only show that it happens."""
    with opened(bench.server) as sandbox:
        run_true(sandbox)
        yield _unchanged_setup(sandbox, bench)
        yield _command_beside_long_ones(sandbox)
        yield _cancel(sandbox)
        yield _poll_of_a_long_log(sandbox)
        yield _start_after_old_jobs(sandbox, bench)
    yield _refused_connection(bench)
    yield from _mcp(bench)


def _unchanged_setup(sandbox: Sandbox, bench: Bench) -> Row:
    project = make_git_project(bench.folder / "git", "proj").project(setup=("true",))
    setup(sandbox, project)
    return _within("`setup` where nothing changed", 1, lambda: setup(sandbox, project))


def _command_beside_long_ones(sandbox: Sandbox) -> Row:
    calls = [sandbox.submit("sleep 600") for _ in range(_LONG_COMMANDS)]
    wait_until(lambda: all(call.job_id for call in calls), 60)
    row = _within(
        f"a command beside {_LONG_COMMANDS} long ones", 1, lambda: run_true(sandbox)
    )
    for call in calls:
        call.cancel()
    for call in calls:
        call.future.result(60)
    return row


def _cancel(sandbox: Sandbox) -> Row:
    call = sandbox.submit("setsid sleep 600 & sleep 600")
    wait_until(lambda: call.job_id)

    def cancel() -> None:
        call.cancel()
        call.future.result(60)

    return _within("a cancelled command, its whole tree dead", 3, cancel, rounds=1)


def _poll_of_a_long_log(sandbox: Sandbox) -> Row:
    job = sandbox.start("truncate -s 2G /dev/stdout; echo end; sleep 600")
    wait_until(lambda: jobs.output(sandbox, job.id, max_bytes=9).size_bytes > 2 << 30)
    size = jobs.output(sandbox, job.id, max_bytes=9).size_bytes
    row = _within(
        "what is new in a log of 2 GiB",
        0.05,
        lambda: jobs.output(sandbox, job.id, offset=size - 4),
    )
    jobs.stop(sandbox, job.id, grace_s=0)
    return row


def _start_after_old_jobs(sandbox: Sandbox, bench: Bench) -> Row:
    """The note of the last number lags: as where a disk was full when it was due."""
    folder = records.folder_of(bench.server.home)
    model = records.write(folder, 1000, age_days=0, now=time.time())
    records.copies(folder, 1001, 1000 + _OLD_JOBS, model)
    (folder / "last").write_text("1000\n")
    what = f"a start, the last of {_OLD_JOBS} numbers not on record"
    return _within(what, 1, lambda: sandbox.start("true"), rounds=1)


def _refused_connection(bench: Bench) -> Row:
    closed = dataclasses.replace(bench.server.config(), port=1)

    def connect() -> None:
        with Sandbox(closed) as sandbox, contextlib.suppress(ConnectError):
            run_true(sandbox)

    return _within("a refused connection, told", 1, connect)


def _mcp(bench: Bench) -> Iterator[Row]:
    folder = bench.folder / "mcp"
    folder.mkdir()
    home = bench.folder / "config"
    bench.server.write_toml(folder, config_home=home)
    with wire({"XDG_CONFIG_HOME": str(home)}, folder) as server:
        server.begin()
        yield _within("MCP, first `remote_bash`", 2, lambda: _bash(server), rounds=1)
        yield _within("MCP, warm `remote_bash` of `true`", 0.15, lambda: _bash(server))
        for request_id in range(1000, 1000 + _BESIDE):
            server.call(request_id, "remote_bash", command="sleep 600", timeout=600_000)
        beside = f"beside {_BESIDE} commands under way"
        yield _within(f"MCP, `tools/list` {beside}", 0.05, lambda: _list(server))
        yield _within(f"MCP, `true` {beside}", 1, lambda: _bash(server))
        yield _within("MCP, exit after stdin closes", 1, server.leave, rounds=1)


_request_ids = iter(range(2, 1000))


def _bash(server: Wire) -> None:
    request_id = next(_request_ids)
    server.call(request_id, "remote_bash", command="true")
    assert "result" in server.answer(request_id)


def _list(server: Wire) -> None:
    request_id = next(_request_ids)
    server.send("tools/list", request_id)
    assert "result" in server.answer(request_id)


def _within(
    what: str, limit_s: float, work: Callable[[], object], rounds: int = 10
) -> Row:
    """Return the median time of `work`, held against the time it may take."""
    times = sorted(once(work) for _ in range(rounds))
    value_s = times[len(times) // 2]
    goal = Beside("", goal=f"under {seconds(limit_s)}", met=value_s < limit_s)
    return Row(what, seconds(value_s), (goal,))
