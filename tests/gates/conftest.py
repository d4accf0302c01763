"""Gates: other people's tools and clients against our server. Asked for with `-m gates`.

They need npm and a network the first time; what they install is kept in pytest's cache.
Without npm they fail: a gate that is skipped is open.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

HERE = Path(__file__).parent


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


def output(
    words: Sequence[object],
    cwd: Path,
    *,
    code: int = 0,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a program to its end; return what it said on both streams.

    Raises:
        AssertionError: it ended otherwise than with `code`; with what it said.
    """
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
    assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}"
    return done.stdout


def kept(config: pytest.Config, *sources: Path) -> Path:
    """Return a folder of pytest's cache for what these files ask for."""
    assert config.cache is not None
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in sources))
    return config.cache.mkdir(f"gates-{sources[0].stem}-{digest.hexdigest()[:12]}")


@pytest.fixture(scope="session")
def node_tool(request: pytest.FixtureRequest) -> Callable[[str], tuple[Path, Path]]:
    """Return a program of package-lock.json, by name: Node 22 and its script."""
    lock, package = HERE / "package-lock.json", HERE / "package.json"
    folder = kept(request.config, lock, package)
    programs = folder / "node_modules" / ".bin"
    if not (folder / "ready").exists():
        npm = shutil.which("npm")
        assert npm, "the gates need npm: install Node 20 or newer"
        shutil.copy(lock, folder)
        shutil.copy(package, folder)
        output([npm, "ci", "--no-audit", "--no-fund"], folder)
        assert output([programs / "node", "--version"], folder).startswith("v22.")
        (folder / "ready").touch()
    return lambda name: (programs / "node", programs / name)


@pytest.fixture(scope="session")
def client(request: pytest.FixtureRequest) -> Callable[[str], Path]:
    """Return the Python of an environment with a client, by its requirements' name."""

    def make(name: str) -> Path:
        requirements = HERE / f"{name}-client.txt"
        folder = kept(request.config, requirements)
        python = folder / "bin" / "python"
        if not (folder / "ready").exists():
            output([sys.executable, "-m", "venv", folder], HERE)
            output([python, "-m", "pip", "-q", "install", "-r", requirements], HERE)
            (folder / "ready").touch()
        return python

    return make
