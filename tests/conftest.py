"""Fixtures: a real sshd, a sandbox on it, a git project. No mocks, no skips."""

import contextlib
import gc
import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import second_run
from gitproject import GitProject, make_git_project
from hypothesis import settings
from sshd import SshServer, start_sshd

if TYPE_CHECKING:  # Fabric takes a while to import, and most unit tests do without
    from sandbox_ops import Sandbox

_MEASURED = "measured"
_SEED = os.environ.get("SANDBOX_OPS_SEED")
"""Read before `_own_environment` takes such names away."""

# a loaded machine is slow at times: what takes long is bounded by pytest-timeout
settings.register_profile("patient", deadline=None, print_blob=True)
settings.load_profile("patient")


@pytest.fixture(autouse=True, scope="session")
def _own_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the developer's home, keys, agent and git settings out of every test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in tuple(os.environ):
            if name.startswith(("SSH_", "SANDBOX_", "GIT_", "XDG_")):
                patch.delenv(name)
        # a service, a container and CI have none; sshd sets its own
        patch.delenv("SHELL", raising=False)
        home = tmp_path_factory.mktemp("client-home")
        patch.setenv("HOME", str(home))
        patch.setenv("XDG_CONFIG_HOME", str(home / ".config"))
        patch.setenv("XDG_STATE_HOME", str(home / ".local/state"))
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("GIT_TERMINAL_PROMPT", "0")
        # a process that outlives a test; test_connection_agent.py has its own
        patch.setenv("SANDBOX_OPS_AGENT_IDLE_S", "0")
        yield


@contextlib.contextmanager
def _same_configuration_afterwards() -> Iterator[None]:
    """Put the user's own configuration back to what it was before."""
    file = Path(os.environ["XDG_CONFIG_HOME"]) / "sandbox-ops" / "config.toml"
    before = file.read_bytes() if file.exists() else None
    yield
    if before is not None:
        file.write_bytes(before)
    else:
        file.unlink(missing_ok=True)


@pytest.fixture(autouse=True, scope="module")
def _no_configuration_of_another_file(_own_environment: None) -> Iterator[None]:
    """Keep what the fixtures of one file configure from the tests of the next."""
    with _same_configuration_afterwards():
        yield


@pytest.fixture(autouse=True)
def _no_configuration_of_another_test() -> Iterator[None]:
    """Keep what a test configures from the next."""
    with _same_configuration_afterwards():
        yield


@pytest.fixture
def measured(
    record_property: Callable[[str, object], None],
) -> Callable[[str], None]:
    """Keep a line for the end of the run, where it is shown whatever passed."""
    return lambda line: record_property(_MEASURED, line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what was measured: how much of chance was tried, and from which seed."""
    reports = [each for kind in terminalreporter.stats.values() for each in kind]
    names = [
        f"{_MEASURED}: {value}"
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == _MEASURED
    ]
    for line in dict.fromkeys(names):
        terminalreporter.write_line(line)
    second_run.write_failures(terminalreporter)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what chance has a part in, so that a failure of it is never retried."""
    second_run.mark_chance(items)


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of every later search for garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def seed(record_property: Callable[[str, object], None]) -> int:
    """The seed of a chance test: SANDBOX_OPS_SEED, or one that is told at the end."""
    number = int(_SEED or secrets.randbelow(10**6))
    record_property("seed", number)
    return number


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """A server that all tests share: do not stop it or fill its home."""
    with start_sshd(tmp_path_factory.mktemp("sshd") / "server") as server:
        yield server


@pytest.fixture
def make_sshd(tmp_path: Path) -> Iterator[Callable[..., SshServer]]:
    """Start a server of one's own, with the options of `start_sshd`."""
    numbers = itertools.count(1)
    servers: list[SshServer] = []

    def make(**options: object) -> SshServer:
        folder = tmp_path / f"sshd-{next(numbers)}"
        servers.append(start_sshd(folder, **options))  # type: ignore[arg-type]
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def sandbox(sshd: SshServer) -> "Iterator[Sandbox]":
    """A sandbox with a connection and a workspace of its own, on the shared server."""
    from sandbox_ops import Sandbox

    with Sandbox(sshd.config()) as machine:
        yield machine


@pytest.fixture(scope="session")
def shared_sandbox(sshd: SshServer) -> "Iterator[Sandbox]":
    """A sandbox whose connection is already warm; never close it."""
    from sandbox_ops import Sandbox

    with Sandbox(sshd.config()) as machine:
        yield machine


@pytest.fixture
def make_git_project_here(tmp_path: Path) -> Callable[..., GitProject]:
    """Make projects below the test's own folder, by name and files."""

    def make(name: str = "bucket-brigade", **options: object) -> GitProject:
        return make_git_project(tmp_path / "git", name, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def git_project(make_git_project_here: Callable[..., GitProject]) -> GitProject:
    """A project with one commit, clean and pushed."""
    return make_git_project_here()
