"""The demo from its first line to its last, and the ways it can end early."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import processes
import pytest
from PIL import Image
from waiting import wait_until

from sandbox_ops.demo import leftovers, story
from sandbox_ops.errors import RefusedError

_TELL = """
import sys
from pathlib import Path
from sandbox_ops.cli.output import accept_any_text
from sandbox_ops.demo.story import tell
accept_any_text()  # as the program does
keep = Path(sys.argv[2]) if sys.argv[2:] else None
sys.exit(tell(keep, steps=int(sys.argv[1])))
"""


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    """A place for temporary folders; at the end of the test it must be empty."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    yield folder
    assert list(folder.iterdir()) == []
    assert processes.carrying(f"{leftovers.MARK}={folder}") == {}


def begin(
    scratch: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _TELL, *arguments],
        env=os.environ | {"TMPDIR": str(scratch), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def tell(
    scratch: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    with begin(scratch, *arguments, env=env) as process:
        output = process.communicate(timeout=55)[0]
        return process.returncode, output


def test_the_whole_demo_runs_and_leaves_nothing(scratch: Path) -> None:
    code, output = tell(scratch, "60")
    assert code == 0, output
    scenes = [line for line in output.splitlines() if line[:1].isdigit()]
    assert [scene.split("  ")[0] for scene in scenes] == list("12345678")
    for arguments in (
        "step 60/60",
        "models/model.json",
        "rescued the edit to refs/sandbox-ops/backup/",
        "not one process is left on the machine",
        "No process and no file of it is left.",
    ):
        assert arguments in output
    assert "\x1b" not in output
    assert [line for line in output.splitlines() if line.endswith(" ")] == []


@pytest.mark.slow
def test_it_is_deaf_to_the_users_own_settings(
    scratch: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSH_HOST", "my-real-machine")
    monkeypatch.setenv("SANDBOX_OPS_CONFIG", str(tmp_path / "mine.toml"))
    code, output = tell(scratch, "2")
    assert code == 0, output


@pytest.mark.slow
def test_a_folder_is_kept_if_asked_for(scratch: Path, tmp_path: Path) -> None:
    kept = tmp_path / "a folder" / "of mine"
    code, output = tell(scratch, "30", str(kept))
    assert code == 0, output
    assert f"Kept: {kept}" in output
    with Image.open(kept / "laptop/next-letter/results/loss.png") as picture:
        assert picture.format == "PNG"
    assert (kept / "laptop/next-letter/models/model.json").stat().st_size > 10000
    assert leftovers.find(kept / "machine") == {}


@pytest.mark.slow
def test_a_training_that_fails_ends_it_loudly(scratch: Path) -> None:
    code, output = tell(scratch, "0")  # no step, so nothing was measured
    assert code == 70
    assert "the training failed (exit code 1)" in output
    assert "IndexError" in output
    assert "The end" not in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.slow
def test_it_can_be_interrupted_at_any_time(
    scratch: Path, number: signal.Signals
) -> None:
    with begin(scratch, "1000000") as process:
        assert process.stdout is not None
        until(process.stdout, "5  Watch")
        process.send_signal(number)
        process.stdout.read()
        assert process.wait(20) in {128 + number, -number}


def until(lines: Iterator[str], arguments: str) -> None:
    assert any(arguments in line for line in lines), f"it never said {arguments!r}"


@pytest.mark.slow
def test_killed_outright_it_still_leaves_no_process(tmp_path: Path) -> None:
    with begin(tmp_path, "1000000") as process:
        assert process.stdout is not None
        until(process.stdout, "5  Watch")
        process.kill()
        (root,) = tmp_path.glob("sandbox-ops-demo-*")
    wait_until(lambda: leftovers.find(root / "machine") == {}, 20)


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    with pytest.raises(RefusedError, match="is not empty"):
        story.tell(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.parametrize(
    "env",
    [
        {"PYTHONIOENCODING": "ascii"},
        {
            "GIT_ALLOW_PROTOCOL": "https",
            "GIT_DIR": "/dev/null/nowhere",
            "SSH_HOST": "elsewhere",
        },
    ],
)
@pytest.mark.slow
def test_the_demo_works_whatever_the_terminal_and_the_environment(
    scratch: Path, env: dict[str, str]
) -> None:
    code, text = tell(scratch, "30", env=env)
    assert code == 0, text
    assert "No process and no file of it is left." in text


def test_the_demo_works_where_git_refuses_repositories_that_are_folders(
    scratch: Path, tmp_path: Path
) -> None:
    home = tmp_path / "careful"
    home.mkdir()
    (home / ".gitconfig").write_text('[protocol "file"]\n\tallow = never\n', "utf-8")
    system = {"GIT_CONFIG_SYSTEM": str(home / ".gitconfig")}
    code, text = tell(scratch, "30", env={"HOME": str(home), **system})
    assert code == 0, text


def test_a_demo_without_its_libraries_names_the_one_command_that_installs_them(
    tmp_path: Path,
) -> None:
    """Hidden by a name that is no package, as if they were not installed."""
    script = (
        "import sys\n"
        "sys.modules['asyncssh'] = None\n"
        "from sandbox_ops.tasks import main\n"
        "sys.argv = ['sandbox-ops', 'demo']\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 66
    assert "the demo needs asyncssh, which is not installed" in done.stderr
    assert "pip install" in done.stderr
    assert "[demo]'" in done.stderr
