"""The files in packaging/ say what is true of the tools, the program and its version."""

import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from mcp_server import COMMAND, talk

from mcp_adapter import catalog, prompts, workflow_catalog
from mcp_adapter.__main__ import _parser
from sandbox_ops.cli import mcp_hosts

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def read(name: str) -> dict[str, Any]:
    reply = json.loads((ROOT / "packaging" / name).read_text("utf-8"))
    assert isinstance(reply, dict)
    return reply


def test_the_example_is_what_the_installer_writes() -> None:
    written = mcp_hosts.entry(
        mcp_hosts.HOSTS["claude"],
        "project",
        ["sandbox-ops-mcp"],
        {"SSH_HOST": "${SSH_HOST:-gpu1}"},
    )
    assert read("mcp.json") == {"mcpServers": {mcp_hosts.NAME: written}}


def test_the_registry_entry_has_this_version_and_a_program_that_exists() -> None:
    server = read("server.json")
    (package,) = server["packages"]
    assert server["version"] == package["version"] == PROJECT["version"]
    assert package["identifier"] == PROJECT["name"]
    program = package["runtimeArguments"][-1]["value"]
    assert PROJECT["scripts"][program] == "mcp_adapter.__main__:main"
    names = {variable["name"] for variable in package["environmentVariables"]}
    text = (ROOT / "docs/reference/configuration.md").read_text("utf-8")
    assert all(name in text for name in names - {"SSH_AUTH_SOCK"})


def test_the_registry_finds_nothing_wrong_with_what_we_publish() -> None:
    """Its rules (schema of 2025-09-29), as far as they concern what we say."""
    server = read("server.json")
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", server["name"])
    assert 0 < len(server["description"]) <= 100
    assert 0 < len(server["title"]) <= 100
    (package,) = server["packages"]
    assert package.keys() <= {
        "registryType",
        "identifier",
        "version",
        "runtimeHint",  # asked for where there are
        "runtimeArguments",
        "transport",
        "environmentVariables",
    }
    assert package["transport"] == {"type": "stdio"}
    for argument in package["runtimeArguments"]:
        assert argument["type"] in {"named", "positional"}
        assert argument["name" if argument["type"] == "named" else "value"]
    for variable in package["environmentVariables"]:
        assert variable.keys() == {"name", "description"}


def test_nobody_is_named_as_the_publisher_before_somebody_publishes() -> None:
    assert read("server.json")["name"] == "io.github.OWNER/sandbox-ops"
    text = (ROOT / "packaging/README.md").read_text("utf-8")
    assert "in the place of `OWNER`" in text


def test_the_bundle_holds_what_was_tested() -> None:
    pinned = r"^[a-z0-9._-]+==[^ ;]+"
    bundle = (ROOT / "packaging/bundle.lock").read_text("utf-8")
    tested = (ROOT / "requirements.lock").read_text("utf-8")
    names = re.findall(pinned, bundle, re.MULTILINE)
    assert names
    assert set(names) <= set(re.findall(pinned, tested, re.MULTILINE)), "make lock"


def test_the_bundle_lists_the_tools_prompts_and_options_that_there_are() -> None:
    manifest = read("mcpb/manifest.json")
    assert manifest["version"] == PROJECT["version"]
    assert manifest["compatibility"]["runtimes"]["python"] == PROJECT["requires-python"]
    tools = (*catalog.TOOLS, *workflow_catalog.TOOLS)
    assert manifest["tools"] == [
        {"name": tool.tool_name, "description": tool.title} for tool in tools
    ]
    assert manifest["prompts"] == [
        {
            "name": name,
            "description": prompt["words"],
            "arguments": list(prompt.get("arguments", {})),
            "text": prompt["text"].replace("{", "${arguments."),
        }
        for name, prompt in prompts.specs().items()
    ]
    config = manifest["server"]["mcp_config"]
    assert config["args"][:3] == ["-P", "-m", "mcp_adapter"]
    options = _parser().parse_args(config["args"][3:])
    assert options.toolsets == catalog.TOOLSETS
    used = json.dumps(config)
    assert all(f"${{user_config.{name}}}" in used for name in manifest["user_config"])


@pytest.mark.parametrize("how", ["console script", "bundle"])
def test_a_folder_of_the_adapters_name_in_a_project_is_not_run(
    how: str, tmp_path: Path
) -> None:
    planted = tmp_path / "mcp_adapter"
    planted.mkdir()
    for name in ("__init__.py", "__main__.py"):
        (planted / name).write_text("open('planted-ran', 'w').close()\n", "utf-8")
    bundle = read("mcpb/manifest.json")["server"]["mcp_config"]["args"][:3]
    values = {"console script": COMMAND, "bundle": (sys.executable, *bundle)}[how]
    with talk(values, tmp_path, os.environ) as server:
        assert server.begin()["result"]["serverInfo"]["name"] == "sandbox-ops"
    assert not (tmp_path / "planted-ran").exists()
