"""The prompts: whole without arguments, and with them."""

import re

import pytest

from mcp_adapter import catalog, workflow_catalog
from mcp_adapter.prompts import PROMPTS, PromptSpec, filled
from sandbox_ops.errors import UsageError


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: prompt.name)
def test_a_prompt_is_whole_with_and_without_its_arguments(prompt: PromptSpec) -> None:
    assert prompt.arguments.keys() == prompt.absent.keys()
    bare = filled(prompt.name, None)
    assert "{" not in bare
    given = filled(prompt.name, {name: f"<{name}>" for name in prompt.arguments})
    for name in prompt.arguments:
        assert f"<{name}>" in given


def test_a_prompt_names_tools_that_are_there() -> None:
    known = {tool.name for tool in (*catalog.TOOLS, *workflow_catalog.TOOLS)}
    for prompt in PROMPTS:
        assert set(re.findall(r"remote_[a-z_]+", prompt.text)) <= known
    for words in (catalog.INSTRUCTIONS, workflow_catalog.INSTRUCTIONS):
        assert set(re.findall(r"remote_[a-z_]+", words)) <= known


def test_what_is_given_is_not_read_as_a_hole() -> None:
    said = filled("change_and_run", {"change": "use {command} here"})
    assert "use {command} here" in said


def test_an_unknown_prompt_or_argument_is_told_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="There are: change_and_run, long_training"):
        filled("nope", {})
    with pytest.raises(UsageError, match="It takes: command, name"):
        filled("long_training", {"steps": "5"})
