"""What people expect of a repository: its version, its change log, its checks."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from second_run import main as second_run

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize(
    ("file", "pattern"),
    [
        ("CITATION.cff", r"^version: (\S+)$"),
        ("packaging/server.json", r'"version": "([^"]+)"'),
        ("packaging/mcpb/manifest.json", r'"version": "([^"]+)"'),
    ],
)
def test_every_file_tells_the_same_version(file: str, pattern: str) -> None:
    match = re.findall(pattern, (ROOT / file).read_text(), re.MULTILINE)
    assert set(match) == {VERSION}


def test_a_release_whose_files_have_another_version_is_refused() -> None:
    tried = subprocess.run(
        [ROOT / ".ci/release-check", "99.0.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 1
    assert "pyproject.toml does not say" in tried.stderr


def test_the_hooks_run_the_tools_of_the_lock() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    commands = re.findall(r"entry: (\S+)", text)
    assert commands
    assert all(command.startswith(".venv/bin/") for command in commands)


FLAKY = """
import os, pytest
def test_passes_alone():
    assert "PYTEST_XDIST_WORKER" not in os.environ
@pytest.mark.chance
def test_of_chance(record_property):
    record_property("seed", 7)
    assert "PYTEST_XDIST_WORKER" not in os.environ
    assert os.environ["SANDBOX_OPS_SEED"] == "7"
def test_broken():
    assert False
"""


@pytest.fixture
def flaky(tmp_path: Path) -> Path:
    (tmp_path / "conftest.py").write_text(
        "import second_run\n"
        "def pytest_terminal_summary(terminalreporter):\n"
        "    second_run.write_failures(terminalreporter)\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = chance\n")
    (tmp_path / "test_flaky.py").write_text(FLAKY)
    return tmp_path


@pytest.mark.timeout(240)  # four runs of pytest
def test_what_passes_only_the_second_time_is_named_and_chance_stays_failed(
    flaky: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests/support"))
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # of the run around us
    monkeypatch.chdir(flaky)
    code = second_run(["--title", "tried", "-q", "-n", "1", "test_flaky.py"])
    fields = capfd.readouterr().out.split("tried: first run and second run")[1]
    assert code == 1
    assert "passed only the second time: test_flaky.py::test_passes_alone" in fields
    assert "FAILED: test_flaky.py::test_broken (failed alone, too)" in fields
    of_chance = "test_of_chance (seed 7, passed alone; chance is not retried)"
    assert of_chance in fields
