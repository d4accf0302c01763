"""What wakes an agent's own program: Claude Code and Codex, with a model that plays a script.

Nobody logs in, and nothing leaves this computer: the model's API is on loopback. A turn
that nobody typed is a new request to it.
"""

import contextlib
import json
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from command_line import cli
from model_api import Block, Model, call, model_api, tools, words
from sshd import SshServer
from terminals import Terminal
from waiting import wait_until

from sandbox_ops import Sandbox

from .conftest import isolated, output

pytestmark = [pytest.mark.gates, pytest.mark.timeout(300)]

NodeTool = Callable[[str], tuple[Path, Path]]
CLAUDE = "@anthropic-ai/claude-code/cli-wrapper.cjs"
KEY = "sk-ant-api03-a-key-that-nobody-has-ever-had-000"
MONITORS = {"tengu_amber_sentinel": True}  # the host's own switch for monitors


@pytest.fixture
def project(sshd: SshServer, home: Path, tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    output(["git", "init", "-q"], path)
    sshd.write_toml(path, config_home=home / ".config")
    return path


def environment(home: Path, model: Model, **more: str) -> dict[str, str]:
    return isolated(
        home,
        XDG_CONFIG_HOME=str(home / ".config"),
        ANTHROPIC_BASE_URL=model.url,
        ANTHROPIC_API_KEY=KEY,
        NO_PROXY="*",
        IS_SANDBOX="1",  # root may use it so
        **more,
    )


@contextmanager
def conversation(
    claude: tuple[Path, Path], project: Path, env: dict[str, str], prompt: str
) -> Iterator[None]:
    """Have Claude Code hold a conversation open that begins with these words."""
    format_ = ("--input-format", "stream-json", "--output-format", "stream-json")
    said = {"role": "user", "content": [{"type": "text", "text": prompt}]}
    with subprocess.Popen(
        [*claude, "-p", *format_, "--verbose", "--allowedTools", "Bash"],
        cwd=project, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(json.dumps({"type": "user", "message": said}) + "\n")
        process.stdin.flush()
        try:
            yield
        finally:
            process.kill()


def test_claude_code_begins_a_turn_of_its_own_when_our_wait_in_the_background_ends(
    node_tool: NodeTool, sandbox: Sandbox, home: Path, project: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = sandbox.start(f"until [ -e {gate} ]; do sleep 0.1; done; exit 3")

    def script(number: int, _: dict[str, Any]) -> Block:
        if number == 1:
            wait = f"sandbox-ops wait {job.id}"
            return call("Bash", command=wait, description="w", run_in_background=True)
        return words("I am waiting.")

    with model_api(script, needs_tool="Bash") as model:
        env = environment(home, model)
        with conversation(node_tool(CLAUDE), project, env, "wait for the job"):
            wait_until(lambda: len(model.requests) == 2, 60, what="the first turn")
            assert "running in background" in model.last_words()
            gate.touch()
            wait_until(lambda: len(model.requests) == 3, 60, what="a turn of its own")
    assert "task-notification" in model.last_words()
    assert "exit code 3" in model.last_words()


def events_are_followed(home: Path) -> bool:
    """Whether the monitor's command runs for the user who has this home."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended
            command = (folder / "cmdline").read_bytes()
            if b"events\0--follow" in command:
                variables = (folder / "environ").read_bytes().split(b"\0")
                if f"HOME={home}".encode() in variables:
                    return True
    return False


def test_claude_code_begins_a_turn_of_its_own_when_the_plugins_monitor_prints_an_event(
    node_tool: NodeTool, sandbox: Sandbox, home: Path, project: Path
) -> None:
    claude = node_tool(CLAUDE)

    def script(number: int, _: dict[str, Any]) -> Block:
        skill = call("Skill", skill="sandbox-ops:sandbox-ops")
        return skill if number == 1 else words("Noted.")

    with model_api(script, needs_tool="Skill") as model:
        env = environment(home, model)
        done = cli("plugin-install", "--host", "claude", "--json", cwd=project, env=env)
        for step in json.loads(done.stdout)["next_steps"]:
            output([*claude, *shlex.split(step)[1:]], project, env=env)
        _skip_first_questions(home, project)
        # it offers monitors only where it may ask which features are on
        env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] = ""
        command = [*map(str, claude), "--allowedTools", "Bash,Skill"]
        with Terminal(*command, cwd=project, env=env, columns=100) as terminal:
            terminal.shows("shortcuts")
            terminal.types("begin")
            terminal.shows("begin")
            terminal.types("\r")
            # its screen is no proof: letters that stand there already are not drawn again
            wait_until(lambda: events_are_followed(home), 60, what="the monitor")
            wait_until(lambda: len(model.requests) == 2, 60, what="the first turn")
            # the monitor listens from when it is connected on: jobs until one is reported
            wait_until(
                lambda: (
                    bool(sandbox.start("exit 3", name="night"))
                    and len(model.requests) > 2
                ),
                60,
                every_s=2,
                what="a turn of its own",
            )
    messages = json.dumps([request["messages"] for _, request in model.requests[2:]])
    assert "night" in messages
    assert "started" in messages


def test_codex_asks_its_model_nothing_while_our_tool_waits_for_the_end_of_a_job(
    node_tool: NodeTool, sandbox: Sandbox, home: Path, project: Path, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    job = sandbox.start(f"until [ -e {gate} ]; do sleep 0.1; done; exit 3")
    waits: list[int] = []

    def script(number: int, request: dict[str, Any]) -> Block:
        if waits:
            return words("It has ended.")
        if "mcp__sandbox_ops" not in tools(request):  # the server is being started
            return call("exec_command", cmd="sleep 1", yield_time_ms=5000)
        waits.append(number)
        tool = "mcp__sandbox_ops/remote_bash_output"
        return call(tool, bash_id=job.id, wait=3_600_000)

    with model_api(script, needs_tool="exec_command") as model:
        env = environment(home, model, OPENAI_API_KEY=KEY)
        words_ = ("mcp-install", "--host", "codex", "--yes")
        assert cli(*words_, cwd=project, env=env).returncode == 0
        with subprocess.Popen(
            [*node_tool(".bin/codex"), "exec", *_codex_options(model), "wait for it"],
            cwd=project, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            wait_until(lambda: waits, 60, what="the call of our tool")
            began = time.monotonic()
            wait_until(lambda: time.monotonic() - began > 5, 10)
            assert len(model.requests) == waits[0], "it asked meanwhile"
            gate.touch()
            assert process.wait(60) == 0
    assert len(model.requests) == waits[0] + 1
    assert "failed (exit code 3)" in model.last_words()


def _codex_options(model: Model) -> list[str]:
    provider = {
        "name": "script",
        "base_url": f"{model.url}/v1",
        "wire_api": "responses",
    }
    provider["env_key"] = "OPENAI_API_KEY"
    table = ", ".join(f'{name} = "{value}"' for name, value in provider.items())
    values = ('model="any"', 'model_provider="script"')
    settings = [*values, f"model_providers.script={{ {table} }}"]
    options = ["--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"]
    return [*options, *(word for each in settings for word in ("-c", each))]


def _skip_first_questions(home: Path, project: Path) -> None:
    """Answer what Claude Code asks its user the first time."""
    file = home / ".claude" / ".claude.json"
    settings = json.loads(file.read_text())
    settings |= {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": {"approved": [KEY[-20:]], "rejected": []},
        "cachedGrowthBookFeatures": MONITORS,
        "projects": {str(project): {"hasTrustDialogAccepted": True}},
    }
    file.write_text(json.dumps(settings))
