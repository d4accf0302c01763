"""Several sandboxes behind one server."""

import asyncio
from pathlib import Path

import pytest
from mcp_server import cursor, started
from sshd import SshServer, own_config

from mcp_adapter.machines import Machines
from mcp_adapter.tools import Tools


@pytest.fixture
def two(sshd: SshServer, tmp_path: Path) -> Path:
    """A folder whose configuration has the same machine under two names."""
    for path in (sshd.write_toml(tmp_path), own_config()):
        one = path.read_text("utf-8")
        _, section, values = one.partition("[sandboxes.test]")
        path.write_text(f"{one}\n{section.replace('test', 'other')}{values}", "utf-8")
    return tmp_path


def test_a_named_sandbox_is_named_in_the_next_calls_too(two: Path) -> None:
    machines = Machines(two, {})
    tools = Tools(machines)

    async def bash(**arguments: object) -> str:
        return (await tools.call("remote_bash", arguments)).text

    async def main() -> None:
        default = await bash(command="echo x", run_in_background=True)
        assert "sandbox=" not in default
        named = await bash(command="echo x", run_in_background=True, sandbox="other")
        assert ', sandbox="other")' in named
        assert "must be one of test, other" in await bash(command="x", sandbox="no")

    asyncio.run(main())
    machines.close()


def test_a_cursor_belongs_to_its_sandbox(two: Path) -> None:
    machines = Machines(two, {})
    tools = Tools(machines)

    async def main() -> None:
        begun = await tools.call(
            "remote_bash", {"command": "echo x", "run_in_background": True}
        )
        arguments = {"bash_id": started(begun.text)}
        first = await tools.call("remote_bash_output", arguments)
        arguments |= {"since": cursor(first.text), "sandbox": "other"}
        answer = await tools.call("remote_bash_output", arguments)
        assert answer.is_error
        assert " on test, not of " in answer.text

    asyncio.run(main())
    machines.close()


def test_one_sandbox_may_be_offered_alone(two: Path) -> None:
    machines = Machines(two, {}, only="other")
    assert machines.names() == ()
    assert machines.sandbox().config.name == "other"
