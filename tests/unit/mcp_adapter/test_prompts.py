"""The prompts: whole without arguments, and with them."""

import re

import pytest

from mcp_adapter import catalog, workflow_catalog
from mcp_adapter.prompts import filled, instructions, specs
from sandbox_ops.errors import UsageError


@pytest.mark.parametrize("name", specs())
def test_a_prompt_is_whole_with_and_without_its_arguments(name: str) -> None:
    bare = filled(name, None)
    assert "{" not in bare
    arguments = specs()[name].get("arguments", {})
    message = filled(name, {each: f"<{each}>" for each in arguments})
    assert all(f"<{each}>" in message for each in arguments)


def test_a_prompt_names_tools_that_are_there() -> None:
    known = {tool.tool_name for tool in (*catalog.TOOLS, *workflow_catalog.TOOLS)}
    texts = [
        *(prompt["text"] for prompt in specs().values()),
        instructions(has_workflows=True),
        instructions(has_workflows=False),
    ]
    for text in texts:
        assert set(re.findall(r"remote_[a-z_]+", text)) <= known


def test_what_is_given_is_not_read_as_a_hole() -> None:
    output = filled("change_and_run", {"change": "use {command} here"})
    assert "use {command} here" in output


def test_an_unknown_prompt_or_argument_is_reported_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="There are: change_and_run, long_training"):
        filled("nope", {})
    with pytest.raises(UsageError, match="It takes: command, name"):
        filled("long_training", {"steps": "5"})
