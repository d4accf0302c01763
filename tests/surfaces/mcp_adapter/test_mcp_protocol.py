"""The protocol's side: in both eras, in memory and over stdio."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from mcp import Client, MCPError
from mcp.types import INVALID_PARAMS
from mcp_server import ERAS, parameters, text

from mcp_adapter.protocol import build
from mcp_adapter.tools import Tools
from sandbox_ops.machine.sandboxes import Sandboxes

T = TypeVar("T")

NAMES = [
    "remote_bash",
    "remote_bash_output",
    "remote_file_read",
    "remote_bash_stop",
    "remote_fetch",
]
TWO = """
default = "a"
[sandboxes.a]
host = "a.invalid"
[sandboxes.b]
host = "b.invalid"
"""
FIFTY = 'default = "gpu1"' + "".join(
    f'\n[sandboxes.gpu{n}]\nhost = "gpu{n}.invalid"' for n in range(1, 51)
)


class Play(Protocol):
    """Plays a scenario with a client whose server finds `sandbox.toml` in tmp_path."""

    def __call__(self, scenario: Callable[[Client], Awaitable[T]]) -> T: ...


@pytest.fixture(params=ERAS)
def era(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture(params=["memory", "stdio"])
def play(request: pytest.FixtureRequest, era: str, tmp_path: Path) -> Play:
    own = {"XDG_CONFIG_HOME": str(tmp_path / "own")}

    def run(scenario: Callable[[Client], Awaitable[T]]) -> T:
        async def main() -> T:
            server = (
                build(Tools(Sandboxes(tmp_path, own)))
                if request.param == "memory"
                else parameters(own, tmp_path)
            )
            async with Client(server, mode=era) as client:
                return await scenario(client)

        return asyncio.run(main())

    return run


def test_the_five_tools_are_listed_whatever_the_configuration(play: Play) -> None:
    async def scenario(client: Client) -> None:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == NAMES
        assert all(tool.title and tool.output_schema is None for tool in tools)

    play(scenario)


@pytest.mark.parametrize("toml", ["", TWO, FIFTY], ids=["one", "two", "fifty"])
def test_the_list_costs_less_than_4_kb_and_hosts_cut_nothing(
    toml: str, play: Play, tmp_path: Path
) -> None:
    (tmp_path / "sandbox.toml").write_text(toml, "utf-8")

    async def scenario(client: Client) -> None:
        listed = await client.list_tools()
        raw = listed.model_dump(mode="json", by_alias=True, exclude_none=True)
        assert len(json.dumps(raw, separators=(",", ":"))) < 4_000
        for tool in listed.tools:
            assert tool.description
            assert len(tool.description) < 2_048
        assert client.instructions
        assert len(client.instructions) < 2_048

    play(scenario)


def test_the_schemas_are_strict_and_leave_absence_to_be_seen(play: Play) -> None:
    async def scenario(client: Client) -> None:
        bash, output, read, *rest = (await client.list_tools()).tools
        for tool in (bash, output, read, *rest):
            assert tool.input_schema["additionalProperties"] is False
        assert bash.input_schema["required"] == ["command"]
        assert "required" not in output.input_schema
        assert read.input_schema["required"] == ["file_path"]
        for tool, name in ((bash, "timeout"), (read, "offset"), (read, "limit")):
            assert "default" not in tool.input_schema["properties"][name]
            assert "maximum" not in tool.input_schema["properties"][name]
        assert bash.annotations
        assert bash.annotations.destructive_hint
        assert output.annotations
        assert output.annotations.read_only_hint

    play(scenario)


def test_a_wrong_configuration_is_the_answer_until_it_is_right(
    play: Play, tmp_path: Path
) -> None:
    (tmp_path / "sandbox.toml").write_text("[sandboxes.gpu1]\nhots = 'x'\n", "utf-8")

    async def scenario(client: Client) -> None:
        result = await client.call_tool("remote_bash", {"command": "true"})
        assert result.is_error
        assert "hots" in text(result)
        (tmp_path / "sandbox.toml").write_text(TWO, "utf-8")
        result = await client.call_tool("remote_bash", {"commands": "true"})
        assert text(result) == (
            "remote_bash has no argument `commands`\n"
            "Did you mean `command`?\nIt takes command, description, timeout,"
            " run_in_background, cwd, sandbox, on."
        )

    play(scenario)


def test_no_configuration_is_reported_with_how_to_make_one(play: Play) -> None:
    async def scenario(client: Client) -> None:
        result = await client.call_tool("remote_file_read", {"file_path": "/x"})
        assert result.is_error
        assert "sandbox.toml" in text(result)

    play(scenario)


def test_a_choice_of_sandboxes_is_an_argument_only_where_there_is_one(
    play: Play, tmp_path: Path
) -> None:
    async def listed(client: Client) -> list[dict[str, Any]]:
        tools = (await client.list_tools()).tools
        return [tool.input_schema["properties"] for tool in tools]

    assert all("sandbox" not in properties for properties in play(listed))
    (tmp_path / "sandbox.toml").write_text(TWO, "utf-8")
    properties = play(listed)
    assert all("sandbox" in each for each in properties)
    # the names are told once: each tool's own list would be paid for five times
    assert [each["sandbox"].get("description") for each in properties] == [
        "a, b",
        *[None] * 4,
    ]
    assert ["on" in each for each in properties] == [True, True, False, True, True]


def test_an_unknown_tool_is_an_error_of_the_protocol(play: Play) -> None:
    async def scenario(client: Client) -> None:
        with pytest.raises(MCPError, match="Unknown tool: remote_sh") as caught:
            await client.call_tool("remote_sh", {})
        assert caught.value.code == INVALID_PARAMS

    play(scenario)


def test_an_unreachable_machine_is_reported_and_the_server_goes_on(
    play: Play, tmp_path: Path
) -> None:
    own = tmp_path / "own/sandbox-ops"
    own.mkdir(parents=True)
    machine = '[sandboxes.a]\nhost = "127.0.0.1"\nport = 1\n'
    (own / "config.toml").write_text(machine, "utf-8")

    async def scenario(client: Client) -> None:
        result = await client.call_tool("remote_bash", {"command": "true"})
        assert result.is_error
        assert "127.0.0.1" in text(result)
        assert len((await client.list_tools()).tools) == 5

    play(scenario)
