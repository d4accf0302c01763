"""What `make` installs is what pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PINNED = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;]+)", LOCK, re.MULTILINE))


def _asked_for(group: str = "dev") -> list[str]:
    entries: list[Any] = PROJECT["dependency-groups"][group]
    names = [entry for entry in entries if isinstance(entry, str)]
    for entry in entries:
        if isinstance(entry, dict):
            names += _asked_for(entry["include-group"])
    return names


@pytest.mark.parametrize(
    "requirement",
    PROJECT["project"]["dependencies"]
    + [
        each
        for extra in PROJECT["project"]["optional-dependencies"].values()
        for each in extra
    ]
    + _asked_for(),
)
def test_every_dependency_is_locked_at_an_allowed_version(requirement: str) -> None:
    asked = Requirement(requirement)
    name = canonicalize_name(asked.name)
    if name == PROJECT["project"]["name"]:  # an extra that brings another one
        return
    assert name in PINNED, "run: make lock"
    assert asked.specifier.contains(PINNED[name]), "run: make lock"


def test_every_locked_release_has_hashes_and_no_address() -> None:
    assert LOCK.count("--hash=sha256:") > len(PINNED)
    assert "://" not in LOCK
    assert "--index" not in LOCK
