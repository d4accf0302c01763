"""The program where its own environment lacks what most have: a home, a directory to be in."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from accounts import with_accounts
from command_line import PROGRAM

_VERBS = (("doctor",), ("run", "--", "true"), ("sandboxes",), ("audit",))


def _program(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("verb", _VERBS, ids=lambda verb: verb[0])
def test_without_a_home_and_an_account_a_verb_says_to_set_home(
    verb: tuple[str, ...], tmp_path: Path
) -> None:
    container = with_accounts(tmp_path / "etc")
    environment = ("env", "-i", f"PATH={os.environ['PATH']}", "SSH_HOST=gpu1")
    done = _program(*container, *environment, PROGRAM, *verb, cwd=tmp_path)
    assert done.returncode == 78, done.stderr
    assert "HOME is not set, and no account of this computer" in done.stderr
    assert "export HOME=" in done.stderr


@pytest.mark.parametrize("verb", _VERBS[:3], ids=lambda verb: verb[0])
def test_in_a_directory_that_was_removed_a_verb_says_so(
    verb: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "removed"
    folder.mkdir()
    line = f'rmdir "{folder}" && exec "$@"'
    shell = (str(shutil.which("sh")), "-c", line, "sh")
    done = _program(*shell, PROGRAM, *verb, cwd=folder)
    assert done.returncode == 78, done.stderr
    assert "the working directory was removed" in done.stderr
