"""Gates: other people's tools and clients against our server. Asked for with `-m gates`.

They need npm and the registries of npm and Python the first time; what they install is
locked, and kept in pytest's cache. Without them they fail: a gate that is skipped is open.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from sshd import SshServer

HERE = Path(__file__).parent
ATTEMPTS = 3
NODE = (22, 19)  # the Inspector wants it
NPM = (
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
    "--loglevel=error",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=5000",
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gates: needs npm and a network; `make gates`")


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    if "gates" in config.option.markexpr:
        return
    gates = [item for item in items if item.get_closest_marker("gates")]
    config.hook.pytest_deselected(items=gates)
    items[:] = [item for item in items if item not in gates]


def ran(
    words: Sequence[object], cwd: Path, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Run a program to its end; return its exit code and what it showed."""
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=500,
    )
    return done.returncode, done.stdout


def output(
    words: Sequence[object],
    cwd: Path,
    *,
    code: int = 0,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end; return what it showed on both streams.

    Raises:
        AssertionError: it ended otherwise than with `code`; with what it showed.
    """
    ended, shown = ran(words, cwd, env)
    assert ended == code, f"{words}: {ended}\n{shown}"
    return shown


def download(words: Sequence[object], cwd: Path) -> None:
    """Have a package manager fetch what a gate needs; a registry that stumbles is asked
    again. What it gives up on is told as such: it says nothing about our server.
    """
    for _ in range(ATTEMPTS):
        code, shown = ran(words, cwd)
        if code == 0:
            return
    named = " ".join(map(str, words[:4]))
    pytest.fail(
        f"DOWNLOAD FAILED, nothing was tested: `{named} ...` ended with {code},"
        f" {ATTEMPTS} times over. Is the registry reachable from here?\n{shown[-3000:]}",
        pytrace=False,
    )


def kept(config: pytest.Config, *sources: Path) -> Path:
    """Return a folder of pytest's cache for what these files ask for."""
    assert config.cache is not None
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources))
    return config.cache.mkdir(f"gates-{sources[0].stem}-{digest.hexdigest()[:12]}")


def node_in(modules: Path) -> Path:
    """Return a Node that is new enough: the locked one, or this computer's."""
    locked = next(modules.glob("node-*/bin/node"), None)
    node = locked or Path(shutil.which("node") or "/no/node")
    shown = ran([node, "--version"], modules)[1] if node.exists() else "none"
    version = tuple(int(word) for word in shown.strip("v\n").split(".")[:2])
    assert version >= NODE, f"the gates need Node {NODE} or newer, not {shown}"
    return node


@pytest.fixture(scope="session")
def node_tool(request: pytest.FixtureRequest) -> Callable[[str], tuple[Path, Path]]:
    """Return a program of package-lock.json: Node, and its script in node_modules.

    No package runs a script of its own while it is installed.
    """
    lock, package = HERE / "package-lock.json", HERE / "package.json"
    folder = kept(request.config, lock, package)
    modules = folder / "node_modules"
    if not (modules / ".package-lock.json").exists():  # npm writes it last
        npm = shutil.which("npm")
        assert npm, "the gates need npm: .ci/system-packages gates"
        shutil.copy(lock, folder)
        shutil.copy(package, folder)
        cache = folder / "cache"
        download([npm, "ci", *NPM, f"--cache={cache}"], folder)
        shutil.rmtree(cache)
    node = node_in(modules)
    return lambda name: (node, modules / name)


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """Return the Python of an environment with a client, by its requirements' name."""

    def make(name: str) -> Path:
        requirements = HERE / f"{name}-client.txt"
        folder = kept(request.config, requirements)
        python = folder / "bin" / "python"
        if not (folder / "ready").exists():
            output([sys.executable, "-m", "venv", folder], HERE)
            install([python, "-m", "pip"], "-r", requirements, cwd=HERE)
            (folder / "ready").touch()
        return python

    return make


def install(pip: Sequence[object], *what: object, cwd: Path) -> None:
    """Install what a lock says, each file by its hash."""
    quiet = ("-q", "--disable-pip-version-check", "--no-input", "--retries", "8")
    download([*pip, "install", *quiet, "--require-hashes", *what], cwd)


@pytest.fixture
def folder(sshd: SshServer, tmp_path: Path) -> Path:
    """A folder from which the server finds a machine."""
    sshd.write_toml(tmp_path)
    return tmp_path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home of somebody who never used any of the hosts."""
    path = tmp_path / "home"
    path.mkdir()
    return path


def isolated(home: Path, *more: Path, **variables: str) -> dict[str, str]:
    """Return the environment of a host that knows nobody and phones nobody.

    Args:
        home: Of whoever uses it.
        more: Folders of programs that it is to find.
        variables: What else it knows.
    """
    paths = (*more, Path(sys.executable).parent, "/usr/bin", "/bin")
    return {
        "HOME": str(home),
        "PATH": os.pathsep.join(map(str, paths)),
        "CLAUDE_CONFIG_DIR": str(home / ".claude"),
        "DISABLE_AUTOUPDATER": "1",
        "SANDBOX_OPS_AGENT_IDLE_S": "0",  # nothing outlives a test
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        **variables,
    }
