"""A package that is too large to be known by heart says in its first lines what is where."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_LARGE = 20
_PACKAGES = [
    folder
    for folder in sorted((ROOT / "sandbox_ops").iterdir())
    if len(list(folder.glob("*.py"))) > _LARGE
]


def _unnamed(folder: Path) -> list[str]:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    named = [word.replace("*", r"\w*") for word in re.findall(r"[\w*]+", text)]
    every = re.compile("|".join(named))
    modules = sorted(file.stem for file in folder.glob("*.py"))
    return [m for m in modules if m != "__init__" and not every.fullmatch(m)]


@pytest.mark.parametrize("folder", _PACKAGES, ids=lambda folder: folder.name)
def test_each_module_of_a_large_package_stands_in_the_map_in_its_first_lines(
    folder: Path,
) -> None:
    assert _unnamed(folder) == []


def test_the_large_packages_are_looked_at() -> None:
    assert {folder.name for folder in _PACKAGES} >= {"cli", "machine", "workflows"}
