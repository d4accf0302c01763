"""The files in packaging/ say what is true of the tools, the program and its version."""

import json
import tomllib
from pathlib import Path
from typing import Any

from mcp_adapter import catalog, prompts, workflow_catalog
from mcp_adapter.__main__ import _parser
from sandbox_ops.cli import mcp_hosts

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def read(name: str) -> dict[str, Any]:
    found = json.loads((ROOT / "packaging" / name).read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_example_is_what_the_installer_writes() -> None:
    written = mcp_hosts.entry(
        mcp_hosts.HOSTS["claude"],
        "project",
        ["sandbox-ops-mcp"],
        {"SSH_HOST": "${SSH_HOST:-gpu1}"},
    )
    assert read("mcp.json") == {"mcpServers": {mcp_hosts.NAME: written}}


def test_the_registry_is_told_this_version_and_a_program_that_exists() -> None:
    server = read("server.json")
    (package,) = server["packages"]
    assert server["version"] == package["version"] == PROJECT["version"]
    assert package["identifier"] == PROJECT["name"]
    program = package["runtimeArguments"][-1]["value"]
    assert PROJECT["scripts"][program] == "mcp_adapter.__main__:main"
    assert len(server["description"]) <= 100  # the registry's limit
    names = {variable["name"] for variable in package["environmentVariables"]}
    told = (ROOT / "docs/reference/configuration.md").read_text("utf-8")
    assert all(name in told for name in names - {"SSH_AUTH_SOCK"})


def test_the_bundle_lists_the_tools_prompts_and_options_that_there_are() -> None:
    manifest = read("mcpb/manifest.json")
    assert manifest["version"] == PROJECT["version"]
    assert manifest["compatibility"]["runtimes"]["python"] == PROJECT["requires-python"]
    tools = (*catalog.TOOLS, *workflow_catalog.TOOLS)
    assert manifest["tools"] == [
        {"name": tool.name, "description": tool.title} for tool in tools
    ]
    assert manifest["prompts"] == [
        {
            "name": prompt.name,
            "description": prompt.words,
            "arguments": list(prompt.arguments),
            "text": prompt.text.replace("{", "${arguments."),
        }
        for prompt in prompts.PROMPTS
    ]
    config = manifest["server"]["mcp_config"]
    assert config["args"][:2] == ["-m", "mcp_adapter"]
    options = _parser().parse_args(config["args"][2:])
    assert options.toolsets == catalog.TOOLSETS
    used = json.dumps(config)
    assert all(f"${{user_config.{name}}}" in used for name in manifest["user_config"])
