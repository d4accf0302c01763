"""Fixtures of a machine that a process leads to, for tests that are not about ssh.

A conftest imports them: what its tests do is the same over any link, ssh has tests of its own,
and each server and each connection that is not needed makes the run shorter. Who asks for
`sshd` or `make_sshd` goes all the way, as the tutorials do.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from each_link import ThisComputer

from sandbox_ops import Sandbox


@pytest.fixture
def make_machine(tmp_path: Path) -> Iterator[Callable[[], ThisComputer]]:
    """Make a machine of the test's own, that may be stopped."""
    numbers = itertools.count(1)
    machines: list[ThisComputer] = []

    def make() -> ThisComputer:
        folder = tmp_path / f"machine-{next(numbers)}"
        machines.append(ThisComputer(folder, "command"))
        return machines[-1]

    yield make
    for machine in machines:
        machine.close()


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThisComputer]:
    """A machine that all tests share: do not stop it or fill its home."""
    shared = ThisComputer(tmp_path_factory.mktemp("machine") / "home", "command")
    yield shared
    shared.close()


@pytest.fixture
def sandbox(machine: ThisComputer) -> Iterator[Sandbox]:
    """A sandbox with a connection and a workspace of its own, on the shared machine."""
    with Sandbox(machine.config()) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_sandbox(machine: ThisComputer) -> Iterator[Sandbox]:
    """A sandbox whose connection is already warm; never close it."""
    with Sandbox(machine.config()) as opened:
        yield opened
