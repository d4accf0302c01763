"""What the first lines of a module promise: one that calls itself pure only computes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_CLAIM = re.compile(r"\bPure[.,:]")
_PURE_PACKAGES = ("sandbox_ops/errors.py", "sandbox_ops/models/", "sandbox_ops/text/")
"""Every module in these is pure, whether it says so or not."""
_FORBIDDEN_MODULES = frozenset(
    ["logging", "os", "random", "shutil", "socket", "subprocess", "tempfile", "time"]
)
_FORBIDDEN_CALLS = frozenset(
    [
        "cwd",
        "datetime.now",
        "datetime.today",
        "datetime.utcnow",
        "exists",
        "expanduser",
        "glob",
        "home",
        "is_dir",
        "is_file",
        "iterdir",
        "mkdir",
        "open",
        "read_bytes",
        "read_text",
        "rglob",
        "stat",
        "touch",
        "unlink",
        "write_bytes",
        "write_text",
    ]
)


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for package in ("sandbox_ops", "mcp_adapter"):
        for file in sorted((ROOT / package).rglob("*.py")):
            yield str(file.relative_to(ROOT)), ast.parse(file.read_text("utf-8"))


def _imports(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module or ""


def _call(node: ast.AST) -> str:
    """The name by which a function is called; with its class where that is datetime."""
    function = node.func if isinstance(node, ast.Call) else None
    if isinstance(function, ast.Attribute):
        holder = function.value
        is_clock = isinstance(holder, ast.Name) and holder.id == "datetime"
        return f"datetime.{function.attr}" if is_clock else function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _impurities(tree: ast.Module) -> list[str]:
    """What in a module reaches disk, network, clock, chance or processes."""
    nodes = list(ast.walk(tree))
    calls = _FORBIDDEN_CALLS & {_call(node) for node in nodes}
    imports = {name.partition(".")[0] for node in nodes for name in _imports(node)}
    return sorted(calls | (imports & _FORBIDDEN_MODULES))


def _claims_purity(name: str, tree: ast.Module) -> bool:
    said = ast.get_docstring(tree) or ""
    return name.startswith(_PURE_PACKAGES) or bool(_CLAIM.search(said))


def test_a_module_that_calls_itself_pure_touches_nothing_outside() -> None:
    claims = {name: tree for name, tree in _modules() if _claims_purity(name, tree)}
    assert len(claims) > 100
    found = {name: _impurities(tree) for name, tree in claims.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "text",
    ["import os", "from time import sleep", "Path('x').exists()", "datetime.now()"],
)
def test_what_is_not_pure_is_found(text: str) -> None:
    assert _impurities(ast.parse(text))
