"""Several sandboxes behind one server."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest
from mcp_server import cursor, started
from sshd import SshServer

from mcp_adapter.tools import Tools
from sandbox_ops.machine.sandboxes import Sandboxes


@dataclass(frozen=True)
class Two:
    """Where a configuration has the same machine under two names."""

    folder: Path
    config_home: Path

    def sandboxes(self, only: str = "") -> Sandboxes:
        environ = {"XDG_CONFIG_HOME": str(self.config_home)}
        return Sandboxes(self.folder, environ, only)


@pytest.fixture
def two(sshd: SshServer, tmp_path: Path) -> Two:
    project = "[sandboxes.other]\n"
    path = sshd.write_toml(tmp_path, project, config_home=tmp_path / "own")
    assert path.parent == tmp_path
    own = tmp_path / "own/sandbox-ops/config.toml"
    one = own.read_text("utf-8")
    own.write_text(f"{one}\n{one.replace('[sandboxes.test]', '[sandboxes.other]')}")
    return Two(tmp_path, tmp_path / "own")


def test_a_named_sandbox_is_named_in_the_next_calls_too(two: Two) -> None:
    sandboxes = two.sandboxes()
    tools = Tools(sandboxes)

    async def bash(**arguments: object) -> str:
        return (await tools.call("remote_bash", arguments)).text

    async def main() -> None:
        default = await bash(command="echo x", run_in_background=True)
        assert "sandbox=" not in default
        named = await bash(command="echo x", run_in_background=True, sandbox="other")
        assert ', sandbox="other")' in named
        assert "must be one of test, other" in await bash(command="x", sandbox="no")

    asyncio.run(main())
    sandboxes.close()


def test_a_cursor_belongs_to_its_sandbox(two: Two) -> None:
    sandboxes = two.sandboxes()
    tools = Tools(sandboxes)

    async def main() -> None:
        begun = await tools.call(
            "remote_bash", {"command": "sleep 20", "run_in_background": True}
        )
        arguments = {"bash_id": started(begun.text)}
        first = await tools.call("remote_bash_output", arguments)
        arguments |= {"since": cursor(first.text), "sandbox": "other"}
        answer = await tools.call("remote_bash_output", arguments)
        assert answer.is_error
        assert " on test, not of " in answer.text

    asyncio.run(main())
    sandboxes.close()


def test_one_sandbox_may_be_offered_alone(two: Two) -> None:
    sandboxes = two.sandboxes(only="other")
    assert sandboxes.choices() == ()
    assert sandboxes.get().config.name == "other"
