"""The table of attacks and guards: each row stands at the test that tries the attack.

`python tests/support/guards.py` writes the page again; a test checks that it was done.
"""

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "attacks.md"
SECRETS_PAGE = ROOT / "docs" / "reference" / "secrets.md"
FOLDERS = ("unit", "integration", "surfaces")
F = TypeVar("F", bound=Callable[..., object])

_HEAD = """\
# Attacks, and what happens

Each row was written at the test that tries the attack, and this page by
`python tests/support/guards.py`. All of them run with `make test` or `make test-slow`. How the
guards work, and what they are not for: [security](../explanation/security.md).

| if ... | then | tried by |
|---|---|---|
"""


def guard(attack: str, outcome: str) -> Callable[[F], F]:
    """Mark a test as the proof of a row of the table.

    Args:
        attack: Completes "what happens if".
        outcome: What the test asserts, in the user's words.
    """

    def mark(test: F) -> F:
        rows: list[tuple[str, str]] = [(attack, outcome), *getattr(test, "guards", [])]
        test.guards = rows  # type: ignore[attr-defined]
        return test

    return mark


_SECRETS_HEAD = """\
# Where forty secrets end

Twenty values of variables that the user names (`secrets`), ten of a file (`secret_files`) and ten
tokens of known kinds are printed by a job, stand in its command and in names of files, and are
asked for. Each way out was tried by
[test_no_secret_leaves_by_any_way](../../tests/surfaces/test_secrets.py); this page was written from
the test by `python tests/support/guards.py`. No way shows one of them; what stands in their place
is counted. The log on the machine holds what the command wrote.

| way out | secrets shown | masks shown, at least |
|---|---|---|
"""


def secrets_page() -> str:
    """Return the page about the ways out of a secret."""
    ways = _load(ROOT / "tests/surfaces/test_secrets.py").WAYS
    return _SECRETS_HEAD + "".join(
        f"| {way} | 0 of 40 | {least} |\n" for way, (least, _) in ways.items()
    )


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"guards_of_{file.stem}", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


def page() -> str:
    """Return the page as the tests have it now."""
    lines = []
    for folder in FOLDERS:
        for file in sorted((ROOT / "tests" / folder).rglob("test_*.py")):
            if "from guards import" not in file.read_text("utf-8"):
                continue
            module = _load(file)
            for name, test in inspect.getmembers(module, inspect.isfunction):
                for attack, outcome in getattr(test, "guards", []):
                    at = inspect.getsourcelines(inspect.unwrap(test))[1]
                    proof = f"[{name}](../../{file.relative_to(ROOT)})"
                    lines.append((folder, file.name, at, attack, outcome, proof))
    table = "".join(
        f"| {attack} | {outcome} | {proof} |\n"
        for *_, attack, outcome, proof in sorted(lines)
    )
    return _HEAD + table


if __name__ == "__main__":
    import guards  # the module that the tests mark

    PAGE.write_text(guards.page(), "utf-8")
    SECRETS_PAGE.write_text(guards.secrets_page(), "utf-8")
