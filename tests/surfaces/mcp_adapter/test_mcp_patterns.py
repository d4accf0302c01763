"""The guide's patterns work through the tools, and the page that shows them is current.

To rewrite the page: UPDATE_DOCS=1 pytest tests/surfaces/mcp_adapter/test_mcp_patterns.py
"""

import asyncio
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from agent_patterns import (
    CHARACTERS_A_TOKEN,
    CHECK,
    CONFIGURED,
    TRAINING,
    Place,
    document,
)
from gitproject import GitProject
from machines import fake_gpus
from mcp import Client
from mcp_server import asker
from sshd import SshServer

from mcp_adapter.catalog import TOOLSETS, Toolset
from mcp_adapter.protocol import build
from mcp_adapter.tools import Tools
from sandbox_ops.machine.sandboxes import Sandboxes

PAGE = Path(__file__).parents[3] / "docs" / "tutorial" / "agent-patterns.md"
IDLE = "0, NVIDIA H100, GPU-a, 0, 4, 81559, 30, 580.1"


def fixed_costs(machines: Sandboxes) -> dict[str, int]:
    """What the tools' descriptions and the instructions cost, in tokens."""

    async def cost(*toolsets: Toolset) -> int:
        async with Client(build(Tools(machines, toolsets))) as client:
            listed = await client.list_tools()
            raw = listed.model_dump(mode="json", by_alias=True, exclude_none=True)
            size = len(json.dumps(raw["tools"], separators=(",", ":")))
            return (size + len(client.instructions or "")) // CHARACTERS_A_TOKEN

    return {
        "five tools and their instructions, once": asyncio.run(cost("remote")),
        "both toolsets, once": asyncio.run(cost(*TOOLSETS)),
    }


def shape(page: str) -> str:
    """The page without its figures, and without what only a quick machine says of a job."""
    page = re.sub(r"^It has ended already: .*\n", "", page, flags=re.MULTILINE)
    return re.sub(r"\d+", "0", page)


@pytest.mark.slow
def test_every_pattern_works_and_the_page_shows_it(
    make_sshd: Callable[..., SshServer], git_project: GitProject, tmp_path: Path
) -> None:
    machine = make_sshd()
    fake_gpus(machine.home, IDLE, f"1{IDLE[1:]}")
    (tmp_path / "workspace").mkdir()
    workspace = tmp_path / "workspace"
    path = machine.write_toml(git_project.clone, CONFIGURED, workspace=str(workspace))
    files = {
        "train.py": TRAINING,
        "check.py": CHECK,
        ".gitignore": "models/\n",
        "sandbox.toml": path.read_text("utf-8"),
    }
    git_project.commit(files, "Begin", push=True)
    machines = Sandboxes(git_project.clone, {})
    place = Place(
        ask=asker(machines, "auto", TOOLSETS),
        git=git_project,
        machine=machine,
        workspace=workspace,
    )
    page = document(place, fixed_costs(machines))
    machines.close()
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(page, "utf-8")
    assert "pytest" not in page.partition("\n\n|")[2]
    assert shape(page) == shape(PAGE.read_text("utf-8"))
