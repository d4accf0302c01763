"""Clients that are not ours, each in an environment of its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mcp_server import COMMAND

from mcp_adapter import catalog, prompts, workflow_catalog

from .conftest import HERE, output

pytestmark = [pytest.mark.gates, pytest.mark.timeout(600)]

SERVER = (*COMMAND, "--toolsets", "remote,workflow")
NAMES = [tool.tool_name for tool in (*catalog.TOOLS, *workflow_catalog.TOOLS)]


@pytest.mark.parametrize(
    ("script", "requirements"), [("v1.py", "v1"), ("fast.py", "fastmcp")]
)
def test_another_client_lists_calls_and_hears_the_heartbeat(
    script: str, requirements: str, client: Callable[[str], Path], folder: Path
) -> None:
    shown = output([client(requirements), HERE / "clients" / script, *SERVER], folder)
    result: dict[str, Any] = json.loads(shown[shown.index('{"') :])
    assert result["tools"] == NAMES
    assert result["prompts"] == len(prompts.specs())
    assert result["text"] == "exit code 3\nbegun"
    assert result["is_error"] is True
    assert result["beats"]
    assert result.get("protocol", "2025-11-25") == "2025-11-25"
