"""`{attempt}` and `{resume}` become what the shell expands at each attempt."""

import shlex
import subprocess

import pytest

from sandbox_ops.workflows import attempt_holes

SHELLS = [["dash", "-c"], ["bash", "--posix", "-c"], ["busybox", "sh", "-c"]]


def words(shell: list[str], command: str, resume: str) -> list[str]:
    """Return the words of a command as its program gets them."""
    text = attempt_holes.fill(f"printf '%s\\n' {command}")
    environment = {
        "PATH": "/usr/bin:/bin", "SANDBOX_ATTEMPT": "2", "SANDBOX_RESUME": resume,
    }  # fmt: skip
    done = subprocess.run(
        [*shell, text], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize(
    ("command", "first", "later"),
    [
        ("a {resume} b", ["a", "b"], ["a", "my ckpt/1.pt", "b"]),
        ("a {resume:--resume %}", ["a"], ["a", "--resume", "my ckpt/1.pt"]),
        ("--n={attempt}", ["--n=2"], ["--n=2"]),
        ('"run {attempt}"', ["run 2"], ["run 2"]),
        ("--from={resume}", ["--from="], ["--from=my ckpt/1.pt"]),
    ],
)
def test_a_hole_is_filled_typed_or_configured(
    shell: list[str], command: str, first: list[str], later: list[str]
) -> None:
    assert words(shell, command, "") == first
    assert words(shell, command, "my ckpt/1.pt") == later
    if '"' not in command:  # as words that stand after `--` come
        typed = shlex.join(shlex.split(command.replace(":--resume %", ":--resume\\ %")))
        assert words(shell, typed, "") == first
        assert words(shell, typed, "my ckpt/1.pt") == later


@pytest.mark.parametrize("command", ["echo {a,b} ${resume} {{resume}} 'x'", "{resum}"])
def test_braces_of_the_shell_stay(command: str) -> None:
    assert attempt_holes.fill(command) == command
