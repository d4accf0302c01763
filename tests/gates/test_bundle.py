"""The bundle for Claude Desktop: packed, unpacked, and started as its manifest says."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from mcp_server import talk
from sshd import SshServer

from .conftest import HERE, download, install, isolated, output

pytestmark = [pytest.mark.gates, pytest.mark.timeout(600)]

NodeTool = Callable[[str], tuple[Path, Path]]
ROOT = HERE.parents[1]
MOST_BYTES = 50_000_000


@pytest.fixture
def unpacked(node_tool: NodeTool, tmp_path: Path) -> Path:
    """The bundle, made as packaging/README.md says, and taken apart again."""
    bundle, file, there = (tmp_path / name for name in ("made", "x.mcpb", "unpacked"))
    shutil.copytree(ROOT / "packaging" / "mcpb", bundle)
    pip = (sys.executable, "-m", "pip")
    into = ("--target", bundle / "server" / "lib")
    install(pip, *into, "-r", ROOT / "packaging" / "bundle.lock", cwd=tmp_path)
    ours = ("-q", "--no-deps", "--no-build-isolation", ROOT)
    download([*pip, "install", *into, *ours], tmp_path)
    mcpb = node_tool(".bin/mcpb")
    assert "passes" in output([*mcpb, "validate", bundle / "manifest.json"], tmp_path)
    output([*mcpb, "pack", bundle, file], tmp_path)
    assert file.stat().st_size < MOST_BYTES
    output([*mcpb, "unpack", file, there], tmp_path)
    return there


def started(bundle: Path, **chosen: str) -> tuple[Sequence[str | Path], dict[str, str]]:
    """Return how a host starts a bundle, with what the user chose: words, variables.

    Its Python has nothing beside the standard library.
    """
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    words = json.dumps(manifest["server"]["mcp_config"])
    for name, value in chosen.items():
        words = words.replace(f"${{user_config.{name}}}", value)
    start = json.loads(words.replace("${__dirname}", str(bundle)))
    assert start["command"] == "python3"
    bare = Path(os.path.realpath(sys.executable))
    return [bare, *start["args"]], start["env"]


def test_the_bundle_packs_and_works_with_nothing_of_ours_beside_it(
    unpacked: Path, sshd: SshServer, home: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    sshd.write_toml(project, config_home=home / ".config")
    words, variables = started(unpacked, project=str(project), ssh_host="box")
    with talk(words, home, isolated(home) | variables) as server:
        assert server.begin()["result"]["serverInfo"]["name"] == "sandbox-ops"
        server.call(2, "remote_bash", command="echo from the bundle")
        content = server.answer(2)["result"]["content"]
        assert content == [{"type": "text", "text": "from the bundle"}]
        assert server.leave() == 0
