"""What `sandbox_ops` offers to programs: names, types, and errors that name what is wrong."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import sandbox_ops
from sandbox_ops import CancelledError, CancelToken, ConfigError, Project, Sandbox
from sandbox_ops.models import SandboxConfig

ROOT = Path(__file__).parents[2]


def test_every_public_name_is_there_and_nothing_else_is() -> None:
    for name in sandbox_ops.__all__:
        assert getattr(sandbox_ops, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = sandbox_ops.nothing


def test_the_version_is_that_of_the_installed_package() -> None:
    assert sandbox_ops.__version__ == metadata.version("sandbox-ops")


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, sandbox_ops; sandbox_ops.__version__; sandbox_ops.Job;"
        "print(*(m for m in ('fabric', 'paramiko', 'rich', 'invoke') if m in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


GOOD = """
from sandbox_ops import Sandbox, sync, Project, SyncReport, CancelToken

def work(sandbox: Sandbox, project: Project) -> SyncReport:
    sandbox.run("x", cwd="/", env={"A": "b"}, timeout_s=3, on_output=lambda s, b: None)
    sandbox.submit("x", keep_bytes=3).cancel()
    sandbox.start("x", name="n", gpus=(0,), unique_name=True)
    return sync(sandbox, project, cancel=CancelToken())
"""
WRONG = (
    'sandbox.run("x", cwdd=3)',
    'sandbox.run("x", cwd=3)',
    'sandbox.submit("x", timeout="3")',
    'sandbox.start("x", keep_bytes=3)',
    'sandbox.request("poll", "remote-1")',
    'sandbox.run("x").kind',
)


def mypy(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """Check a user's file, with the options that are mypy's own."""
    file = folder / "theirs.py"
    file.write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--strict",
         f"--cache-dir={ROOT / '.mypy_cache' / 'theirs'}", str(file)],
        capture_output=True, text=True, check=False, cwd=folder, timeout=200,
    )  # fmt: skip


def test_a_type_checker_passes_right_calls_and_finds_wrong_ones(tmp_path: Path) -> None:
    done = mypy(tmp_path, GOOD)
    assert done.returncode == 0, done.stdout
    lines = [f"    {line}" for line in WRONG]
    head = "from sandbox_ops import Sandbox\n\ndef work(sandbox: Sandbox) -> None:\n"
    done = mypy(tmp_path, head + "\n".join(lines) + "\n")
    for number, line in enumerate(lines, 4):
        assert f"theirs.py:{number}: error" in done.stdout, line


@pytest.mark.parametrize("verb", ["run", "submit", "start"])
def test_an_unknown_option_is_refused_before_anything_is_sent(verb: str) -> None:
    sandbox: Any = Sandbox(SandboxConfig(name="x", host="nowhere.invalid"))
    with pytest.raises(TypeError, match="unexpected keyword argument 'cwdd'"):
        getattr(sandbox, verb)("x", cwdd=3)


@pytest.mark.parametrize(
    ("field", "value"),
    [("host", 3), ("host", None), ("port", "22"), ("port", True), ("workspace", None)],
)
def test_a_wrong_type_in_a_sandbox_s_configuration_names_the_field(
    field: str, value: object
) -> None:
    facts: dict[str, Any] = {"name": "x", "host": "h"} | {field: value}
    with pytest.raises(ConfigError, match=f"SandboxConfig: `{field}` must be "):
        SandboxConfig(**facts)


@pytest.mark.parametrize(
    ("field", "value"),
    [("setup", ["uv sync"]), ("setup", "uv sync"), ("outputs", (1,)), ("name", 3)],
)
def test_a_wrong_type_in_a_project_names_the_field(field: str, value: object) -> None:
    facts: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError, match=f"Project: `{field}` must be "):
        Project(**facts)


def test_a_token_calls_back_once_and_refuses_what_comes_after() -> None:
    token = CancelToken()
    token.check()
    called: list[str] = []
    with token.on_cancel(lambda: called.append("early")):
        token.cancel()
        token.cancel()
    with token.on_cancel(lambda: called.append("late")):
        pass
    assert called == ["early", "late"]
    with pytest.raises(CancelledError):
        token.check()
