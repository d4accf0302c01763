"""What a login shell or its start-up file does: right answers, or the file is named."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from slow import slow
from sshd import SshServer

from sandbox_ops import Sandbox
from sandbox_ops.errors import ProtocolError
from sandbox_ops.machine import files

Make = Callable[..., SshServer]

HARMLESS = {
    "prints": "echo noise; echo more >&2; printf 'no newline'",
    "prints much": "seq 1 100000",
    "sleeps": "sleep 2",
    "sets -e": "set -e; false || true",
    "sets -u and noglob": "set -u -f",
    "changes IFS": "IFS=x; export IFS",
    "aliases": "alias echo='false' sh='false' exec='false'",
    "redefines": "cat() { echo cat; }; printf() { command echo mine; }; export -f cat",
    "traps": "trap 'echo bye' EXIT; trap '' TERM",
    "changes directory": "cd /usr",
    "limits": "ulimit -n 64",
    "turns colours on": "export GREP_OPTIONS=--color=always LS_COLORS=x TERM=xterm",
    "guards": "case $- in *i*) ;; *) return;; esac",
}
FATAL = {
    "exits": "exit 0",
    "exits with a code": "exit 3",
    "is another shell": "exec dash",
    "is another program": "exec sleep 0",
    "fails under -e": "set -e; false",
}


@pytest.mark.parametrize("line", HARMLESS.values(), ids=HARMLESS.keys())
def test_a_bashrc_that_misbehaves_does_not_change_answers(
    make_sshd: Make, line: str
) -> None:
    server = make_sshd(login_shell="/bin/bash")
    (server.home / ".bashrc").write_text(f"{line}\n")
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run("false; for x in 'a b' *; do echo $x; done; exit 2")
        assert (result.exit_code, result.stderr.text) == (2, "")
        assert result.stdout.text.splitlines()[0] == "a b"
        actual = files.read_lines(sandbox, str(server.home / ".bashrc"))
        assert actual.lines == (line,)


@pytest.mark.parametrize("line", FATAL.values(), ids=FATAL.keys())
def test_a_bashrc_that_ends_the_shell_is_answered_right_or_named(
    make_sshd: Make, line: str
) -> None:
    server = make_sshd(login_shell="/bin/bash")
    (server.home / ".bashrc").write_text(f"{line}\n")
    with Sandbox(server.config()) as sandbox:
        try:
            result = sandbox.run("echo right; exit 4")
        except ProtocolError as error:
            assert "~/.bashrc" in error.hint  # noqa: PT017  # either is an answer
        else:
            assert (result.stdout.text, result.exit_code) == ("right\n", 4)


STEALS = {
    "reads all": ("cat >/dev/null", "reads its input"),
    "reads line by line": ("while read -r x; do :; done", "reads its input"),
    "sends output away": ("exec >/dev/null", "sends the shell's output somewhere else"),
}


@pytest.mark.parametrize(("line", "does"), STEALS.values(), ids=STEALS.keys())
@pytest.mark.slow
def test_a_bashrc_that_takes_what_we_send_is_named_before_anybody_gives_up(
    make_sshd: Make, line: str, does: str
) -> None:
    """It took 45 s, and the message did not say what the file does."""
    server = make_sshd(login_shell="/bin/bash")
    (server.home / ".bashrc").write_text(f"{line}\n")
    started = time.monotonic()
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(ProtocolError, match=f"a start-up file on .* {does}") as caught,
    ):
        sandbox.run("echo right")
    assert time.monotonic() - started < 25
    assert "~/.bashrc" in caught.value.hint


SLOW = {
    "each time": "sleep 6",
    "the first time": "mkdir ~/seen 2>/dev/null && sleep 7",
}


@pytest.mark.parametrize("line", SLOW.values(), ids=SLOW.keys())
@pytest.mark.slow
def test_a_slow_bashrc_is_waited_for(make_sshd: Make, line: str) -> None:
    server = make_sshd(login_shell="/bin/bash")
    (server.home / ".bashrc").write_text(f"{line}\n")
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("echo right").stdout.text == "right\n"


def test_busybox_s_ash_does_as_a_login_shell(make_sshd: Make, tmp_path: Path) -> None:
    ash = tmp_path / "ash"
    ash.symlink_to(str(shutil.which("busybox")))
    server = make_sshd(login_shell=str(ash))
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run("for i in {1..3}; do echo $i; done; echo e! >&2; exit 4")
    assert (result.exit_code, result.stdout.text) == (4, "1\n2\n3\n")
    assert result.stderr.text == "e!\n"


@pytest.mark.parametrize(
    ("shell", "file", "line"),
    [
        ("/usr/bin/fish", ".config/fish/config.fish", "echo noise; set -x IFS x"),
        ("/usr/bin/zsh", ".zshenv", "echo noise; setopt ERR_EXIT NO_UNSET"),
        ("/bin/tcsh", ".tcshrc", "echo noise; set nonomatch"),
        ("/bin/tcsh", ".cshrc", "echo noise; set noglob"),
    ],
)
def test_another_shell_s_start_up_file_may_print(
    make_sshd: Make, shell: str, file: str, line: str
) -> None:
    server = make_sshd(login_shell=shell)
    where = server.home / file
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_text(f"{line}\n")
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run("echo 'a b'; exit 5")
    assert (result.exit_code, result.stdout.text) == (5, "a b\n")


@pytest.mark.parametrize("shell", ["/bin/tcsh", *slow("/bin/bash", "/usr/bin/fish")])
def test_a_megabyte_of_command_passes_any_login_shell(
    make_sshd: Make, shell: str
) -> None:
    server = make_sshd(login_shell=shell)
    with Sandbox(server.config()) as sandbox:
        text = "'x$`\\\n" * 166_667
        command = f"cat <<'THE END'\n{text}\nTHE END\n"
        result = sandbox.run(command, keep_bytes=4 << 20)
    assert result.stdout.head.decode() == f"{text}\n"
