"""The plugin for agent hosts: its formats' limits, its words against the program, its examples."""

import json
import os
import re
import shlex
import subprocess
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from command_line import PROGRAM, cli
from gitproject import GitProject
from ruamel.yaml import YAML
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.tasks import ns

ROOT = Path(__file__).parents[2]
PLUGIN = Path(str(resources.files("sandbox_ops"))) / "plugin"
SKILL = PLUGIN / "skills/sandbox-ops/SKILL.md"
TEXTS = sorted(PLUGIN.rglob("*.md"))
MANIFESTS = ("plugin.json", ".claude-plugin/plugin.json")
_TOKEN_CHARACTERS = 3  # at least, of English; four is usual
_FENCE = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`sandbox-ops\s([^`]+)`")


def read(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((PLUGIN / name).read_text("utf-8"))


def front(page: Path) -> tuple[dict[str, str], str]:
    _, matter, body = page.read_text("utf-8").split("---\n", 2)
    return YAML(typ="safe").load(matter), body


def test_the_skill_keeps_to_the_limits_of_its_format() -> None:
    matter, body = front(SKILL)
    assert matter["name"] == SKILL.parent.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", matter["name"])
    assert 0 < len(matter["description"]) <= 1024
    assert len(matter["compatibility"]) <= 500
    assert matter.keys() <= {"name", "description", "license", "compatibility"}
    assert len(body) / _TOKEN_CHARACTERS < 5000
    assert len(body.splitlines()) < 500


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifests_say_what_is_true_of_the_package(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    manifest = read(name)
    assert manifest["name"] == project["name"]
    assert manifest["version"] == project["version"]
    assert manifest["license"] == project["license"]


def test_the_portable_manifest_has_only_the_fields_of_agent_plugins_1_0() -> None:
    schemas = "https://agent-plugins.org/schemas/1.0.0"
    manifest, servers = read("plugin.json"), read("mcp.json")
    assert manifest["$schema"] == f"{schemas}/plugin.schema.json"
    assert manifest.keys() <= {
        "$schema", "name", "version", "description", "author", "homepage",
        "repository", "license", "keywords", "extensions",
    }  # fmt: skip
    assert servers["$schema"] == f"{schemas}/mcp.schema.json"
    assert servers.keys() == {"$schema", "mcpServers"}
    for server in servers["mcpServers"].values():
        assert server.keys() <= {"type", "command", "args", "env", "cwd"}
        assert server["type"] == "stdio"


def test_the_monitor_is_one_that_claude_code_starts() -> None:
    for monitor in read("monitors/monitors.json"):
        assert monitor.keys() == {"name", "command", "description", "when"}
        assert monitor["when"] == f"on-skill-invoke:sandbox-ops:{SKILL.parent.name}"
        assert monitor["command"] == "sandbox-ops events --follow"


def test_a_json_timeout_outlives_the_longest_foreground_command() -> None:
    assert read(".mcp.json")["mcpServers"]["sandbox-ops"]["timeout"] >= 3_700_000


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.stem)
def test_every_command_that_is_named_exists_with_its_options(page: Path) -> None:
    matter, body = front(page)
    assert matter["description"]
    commands = [
        line.removeprefix("sandbox-ops ")
        for block in _FENCE.findall(body)
        for line in block.replace("\\\n", "").splitlines()
        if line.startswith("sandbox-ops ")
    ]
    commands += _INLINE.findall(_FENCE.sub("", body))
    named = [shlex.split(each) for each in commands]
    assert named
    for verb, *arguments in named:
        assert verb in ns.tasks, (page.name, verb)
        flags = {
            f"--{(argument.name or '').strip('_').replace('_', '-')}"
            for argument in ns.tasks[verb].get_arguments()
        }
        ours = arguments[: arguments.index("--")] if "--" in arguments else arguments
        used = {word for word in ours if word.startswith("--")}
        assert used <= flags, (page.name, verb, used - flags)


@pytest.mark.slow
def test_the_examples_of_the_skill_run_in_their_order(
    sshd: SshServer, git_project: GitProject
) -> None:
    config = sshd.config()
    outputs = '[project]\noutputs = ["results/"]\n'
    sshd.write_toml(git_project.clone, outputs, workspace=config.workspace)
    _, body = front(SKILL)
    for block in _FENCE.findall(body):
        done = subprocess.run(
            ["bash", "-euc", block],
            cwd=git_project.clone, capture_output=True, text=True, timeout=50,
            check=False, stdin=subprocess.DEVNULL,
            env=_with_program(),
        )  # fmt: skip
        assert done.returncode == 0, (block, done.stdout, done.stderr)
    home = git_project.clone / "results/first.txt"
    assert home.read_text().endswith("step 3/3 loss 0.1\n")


def _with_program() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(PROGRAM).parent}:{os.environ['PATH']}"}


def install(place: Path, host: str, *words: str) -> tuple[dict[str, Any], Path]:
    done = cli(
        "plugin-install", "--host", host, "--json", *words,
        cwd=place, env={"HOME": str(place / "home")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    value = json.loads(done.stdout)
    return value, Path(value["folder"])


@pytest.mark.parametrize("host", ["claude", "cursor", "vscode", "agents"])
def test_the_plugin_is_installed_below_the_home_with_the_paths_of_its_programs(
    tmp_path: Path, host: str
) -> None:
    value, folder = install(tmp_path, host)
    assert folder.is_relative_to(tmp_path / "home")
    assert sorted(value["files"]) == sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )
    assert value["next_steps"]
    for name in (".mcp.json", "mcp.json"):
        server = json.loads((folder / name).read_text())["mcpServers"]["sandbox-ops"]
        assert Path(server["command"]).exists()
    (monitor,) = json.loads((folder / "monitors/monitors.json").read_text())
    program, *rest = shlex.split(monitor["command"])
    assert rest == ["events", "--follow"]
    assert Path(program).exists()
    assert (folder / "skills/sandbox-ops/SKILL.md").read_text() == SKILL.read_text()


def test_claude_code_gets_a_marketplace_that_lists_the_plugin(tmp_path: Path) -> None:
    value, folder = install(tmp_path, "claude", "--into", str(tmp_path / "a b"))
    market = json.loads((folder.parent / ".claude-plugin/marketplace.json").read_text())
    (entry,) = market["plugins"]
    assert (folder.parent / entry["source"]).resolve() == folder.resolve()
    assert entry["name"] == read(".claude-plugin/plugin.json")["name"]
    assert value["next_steps"] == [
        f"claude plugin marketplace add '{folder.parent}'",
        f"claude plugin install {entry['name']}@{market['name']}",
    ]


def test_to_install_again_changes_nothing_and_an_old_version_is_replaced(
    tmp_path: Path,
) -> None:
    _, folder = install(tmp_path, "agents")
    again, _ = install(tmp_path, "agents")
    assert not again["written"]
    (folder / "commands/old.md").write_text("gone in this version")
    replaced, _ = install(tmp_path, "agents")
    assert replaced["written"]
    assert not (folder / "commands/old.md").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["sandbox-ops"]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    value, folder = install(tmp_path, "claude", "--dry-run")
    assert not value["written"]
    assert not folder.parent.exists()


def test_what_is_not_our_plugin_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "sandbox-ops"
    theirs.mkdir()
    (theirs / "plugin.json").write_text('{"name": "other"}')
    done = cli(
        "plugin-install", "--host", "agents", "--into", str(tmp_path), cwd=tmp_path
    )
    assert done.returncode == 75
    assert "not the sandbox-ops plugin" in done.stderr
    assert [path.name for path in theirs.iterdir()] == ["plugin.json"]


@pytest.mark.parametrize(
    ("words", "says"),
    [([], "name a host"), (["--host", "emacs"], "no host is called 'emacs'")],
)
def test_an_unknown_host_lists_those_that_there_are(
    tmp_path: Path, words: list[str], says: str
) -> None:
    done = cli("plugin-install", *words, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "claude, cursor, vscode, agents" in done.stderr


def test_the_monitor_prints_a_line_when_a_job_ends(
    sshd: SshServer, sandbox: Sandbox, tmp_path: Path
) -> None:
    sshd.write_toml(tmp_path)
    _, folder = install(tmp_path, "claude")
    (monitor,) = json.loads((folder / "monitors/monitors.json").read_text())
    out = tmp_path / "out"
    with out.open("wb") as file:
        process = subprocess.Popen(
            ["sh", "-c", f"exec {monitor['command']}"],
            cwd=tmp_path, stdout=file, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def is_announced() -> bool:
        job = sandbox.start("exit 6", name="monitored")
        jobs.wait(sandbox, job.id, timeout_s=20)
        return "ended: failed (exit code 6)" in out.read_text()

    try:
        wait_until(is_announced, 40, every_s=1)
    finally:
        process.terminate()
        process.wait(10)
