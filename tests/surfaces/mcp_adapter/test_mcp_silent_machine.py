"""A machine that goes silent holds up nothing but itself."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sshd import SshServer

from mcp_adapter.tools import Tools
from sandbox_ops.machine.sandboxes import Sandboxes

_MORE_THAN_THREADS = 40


@contextlib.contextmanager
def frozen(server: SshServer) -> Iterator[None]:
    """Stop every process of a server, as a machine does that hangs."""
    pids = (server.listener_pid, *server.session_pids())
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def silent(make_sshd: Callable[..., SshServer]) -> SshServer:
    return make_sshd()


@pytest.fixture
def sandboxes(
    sshd: SshServer, silent: SshServer, tmp_path: Path
) -> Iterator[Sandboxes]:
    own = tmp_path / "own/sandbox-ops/config.toml"
    silent.write_toml(tmp_path, config_home=tmp_path / "own", name="silent")
    other = own.read_text("utf-8")
    sshd.write_toml(tmp_path, config_home=tmp_path / "own")
    own.write_text(f"{own.read_text('utf-8')}\n{other}", "utf-8")
    with Sandboxes(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / "own")}) as opened:
        yield opened


@pytest.mark.parametrize("tool", ["remote_file_read", "remote_bash_stop"])
def test_calls_for_a_silent_machine_hold_up_neither_another_nor_the_list(
    tool: str, sandboxes: Sandboxes, silent: SshServer
) -> None:
    tools = Tools(sandboxes, ("remote", "workflow"))
    arguments = {
        "remote_file_read": {"file_path": "/etc/services"},
        "remote_bash_stop": {"bash_id": "remote-1"},
    }[tool]

    async def main() -> None:
        for which in ("test", "silent"):  # both are connected
            answer = await tools.call(
                "remote_bash", {"command": "echo x", "sandbox": which}
            )
            assert answer.text == "x", answer
        with frozen(silent):
            held = [
                asyncio.ensure_future(
                    tools.call(tool, arguments | {"sandbox": "silent"})
                )
                for _ in range(_MORE_THAN_THREADS)
            ]
            await asyncio.sleep(0)  # they begin
            lives = {"sandbox": "test"}
            read = await tools.call(
                "remote_file_read", {"file_path": "/etc/passwd", **lives}
            )
            assert not read.is_error
            stop = await tools.call(
                "remote_bash_stop", {"bash_id": "remote-9999", **lives}
            )
            assert "remote-9999" in stop.text
            assert len(await tools.listed()) == 12
            assert not any(call.done() for call in held)
            for call in held:
                call.cancel()
            await asyncio.gather(*held, return_exceptions=True)

    asyncio.run(main())
