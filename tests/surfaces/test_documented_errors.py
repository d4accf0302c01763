"""The error that docs/reference/exit-codes.md shows is the one that people get."""

import re
from collections.abc import Callable
from pathlib import Path

from command_line import cli
from sshd import SshServer

from sandbox_ops import Sandbox

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md"
_BLOCK = re.compile(r"^```(?:json)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_error_in_the_document_is_shown_word_for_word(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    server = make_sshd()
    server.write_toml(tmp_path, name="gpu1")
    with Sandbox(server.config()) as sandbox:
        sandbox.start("true")
        sandbox.start("true")
    for_people = cli("logs", "remote-9", cwd=tmp_path)
    for_programs = cli("logs", "remote-9", "--json", cwd=tmp_path)
    section = PAGE.read_text("utf-8").partition("## What an error looks like")[2]
    in_words, as_json = _BLOCK.findall(section)
    assert (for_people.stdout, for_people.stderr) == ("", in_words)
    assert (for_programs.stdout, for_programs.stderr) == (as_json, in_words)
    assert for_people.returncode == for_programs.returncode == 66
