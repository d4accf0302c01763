"""remote_file_read against a real sshd, as an agent calls it."""

import json
import re
from pathlib import Path

import pytest
from mcp_server import Ask
from sshd import SshServer


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "a $(touch x) 'file'.log"
    path.write_text("".join(f"= {n}\n" for n in range(1, 5001)), "utf-8")
    return path


def numbered(answer: str) -> dict[int, str]:
    lines = (line.split("\t") for line in answer.split("\n") if "\t" in line)
    return {int(number): arguments for number, arguments in lines}


@pytest.mark.parametrize(
    ("arguments", "first", "last"),
    [
        ({}, 1, 2000),
        ({"offset": 0}, 1, 2000),
        ({"offset": 4001}, 4001, 5000),
        ({"offset": "100", "limit": "3"}, 100, 102),
        ({"limit": 50}, 4951, 5000),
        ({"offset": -10}, 4991, 5000),
        ({"offset": -10, "limit": 2}, 4991, 4992),
    ],
)
def test_lines_are_read_by_the_numbers_they_have(
    ask: Ask, log: Path, arguments: dict[str, object], first: int, last: int
) -> None:
    answer, is_error = ask("remote_file_read", file_path=str(log), **arguments)
    assert not is_error
    assert numbered(answer) == {n: f"= {n}" for n in range(first, last + 1)}
    assert f": lines {first} to {last} of 5,000 (" in answer.split("\n")[0]
    assert not (log.parent / "x").exists()


def test_the_next_call_reads_on_where_the_answer_ended(ask: Ask, log: Path) -> None:
    answer, _ = ask("remote_file_read", file_path=str(log))
    assert answer.split("\n")[1] == (
        f'next: remote_file_read(file_path="{log}", offset=2001)'
    )
    answer, _ = ask("remote_file_read", file_path=str(log), offset=100, limit=3)
    assert answer.split("\n")[1] == (
        f'next: remote_file_read(file_path="{log}", offset=103, limit=3)'
    )


def test_a_relative_path_is_refused_with_the_absolute_one(
    ask: Ask, sshd: SshServer
) -> None:
    for path in ("train.log", "~/train.log"):
        answer, is_error = ask("remote_file_read", file_path=path)
        assert is_error
        assert f"{sshd.home}/train.log" in answer


@pytest.mark.parametrize("path", ["/", "/dev/zero", "/nowhere/at/all"])
def test_what_is_no_file_with_an_end_is_refused(ask: Ask, path: str) -> None:
    answer, is_error = ask("remote_file_read", file_path=path)
    assert is_error
    assert path in answer


def test_no_lines_at_all_cannot_be_asked_for(ask: Ask, log: Path) -> None:
    answer, is_error = ask("remote_file_read", file_path=str(log), limit=0)
    assert is_error
    assert "`limit` must be at least 1" in answer


def test_what_is_no_text_is_refused_with_the_call_that_shows_it(
    ask: Ask, tmp_path: Path
) -> None:
    (tmp_path / "it's here").mkdir()
    (tmp_path / "weights").write_bytes(b"a\0b")
    answer, _ = ask("remote_file_read", file_path=str(tmp_path / "it's here"))
    call = re.search(r'remote_bash\(command=(".*")\)$', answer)
    assert call, answer
    shown, is_error = ask("remote_bash", command=json.loads(call[1]))
    assert not is_error
    assert "total 0" in shown or " ." in shown
    answer, _ = ask("remote_file_read", file_path=str(tmp_path / "weights"))
    call = re.search(r'remote_bash\(command=(".*")\)$', answer)
    assert call, answer
    shown, _ = ask("remote_bash", command=json.loads(call[1]))
    assert r"a  \0   b" in shown


def test_a_refusal_quotes_no_more_than_a_line_of_what_was_sent(ask: Ask) -> None:
    for path in ("x" * 100_000, "/" + "x" * 100_000, "/" + "x/" * 1500):
        answer, is_error = ask("remote_file_read", file_path=path)
        assert is_error
        assert len(answer) < 8_000
