"""A secret is masked wherever a text is cut: by a page, a clip, a kept end, a piece."""

import dataclasses
from collections.abc import Iterator

import pytest

from sandbox_ops.errors import NextStep
from sandbox_ops.models import (
    CommandResult,
    EndKind,
    FileSlice,
    Job,
    JobOutput,
    JobState,
    Output,
)
from sandbox_ops.text import file_words, log_pages, paging, remote_text, stream_words

RUNNING = Job(id="remote-3", state=JobState.RUNNING)
ENDED = Job(id="remote-3", state=JobState.SUCCEEDED, exit_code=0)
# by its shape; made here, so that no scanner takes this file for a leak
TOKEN = b"ghp_" + b"aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
NAMED = b"correct horse/battery+staple=9"
KEY = (
    b"-----BEGIN OPENSSH PRIVATE KEY-----\n"
    b"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n"
    b"QyNTUxOQAAACDkQpRiJ0vY5pQmM0vXGgkS2fQbqPMWzvQ1QvKxGvBnZgAAAJgAAAAAAAAA\n"
    b"-----END OPENSSH PRIVATE KEY-----\n"
)
SECRETS = {"a token": TOKEN, "a named value": NAMED, "a private key": KEY}
remote_text.protect({"BORDER_SECRET": NAMED.decode()})


class Steps:
    """How a step would be said."""

    def of(self, step: NextStep) -> str:
        return step.verb

    def read_file(self, path: str, **lines: int) -> str:
        return f"{path} {lines}"


def gives_away(text: str, secret: bytes) -> bool:
    """Whether so much of a secret stands there that it helps to guess the rest."""
    lines = [line for line in secret.decode().split("\n") if "-----" not in line]
    return any(
        line[at : at + 9] in text for line in lines for at in range(len(line) - 8)
    )


def piece(log: bytes, begin: int, end: int, job: Job) -> JobOutput:
    return JobOutput(
        job=job, data=log[begin:end], offset=begin, size_bytes=end, inode=7
    )


def pages(log: bytes, first_end: int) -> Iterator[str]:
    """Read what was written so far, then the rest of the log, page by page."""
    page = log_pages.following(piece(log, 0, first_end, RUNNING))
    yield page.text
    while page.next_offset < len(log):
        page = log_pages.following(piece(log, page.next_offset, len(log), ENDED))
        yield page.text


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_that_is_half_written_when_a_page_is_read(secret: bytes) -> None:
    log = b"step 1\nlogin " + secret + b" done\nstep 2\n"
    for written in range(len(log) + 1):
        shown = list(pages(log, written))
        assert not any(gives_away(text, secret) for text in shown), (written, shown)
        assert "".join(shown).endswith("done\nstep 2\n")


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("unit", [b"word ", b"line\n", b"x"])
def test_a_secret_on_the_border_of_a_page(secret: bytes, unit: bytes) -> None:
    for back in range(0, len(secret) + 9, 3):
        filler = unit * ((log_pages.LIMIT - back) // len(unit))
        log = filler + b" " + secret + b" end\n" + b"more\n" * 20
        shown = list(pages(log, len(log)))
        assert not any(gives_away(text, secret) for text in shown), back
        assert shown[-1].endswith("more\n")


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_in_which_the_end_of_a_log_begins(secret: bytes) -> None:
    log = b"filler " * 50 + secret + b" the end"
    for kept in range(8, len(secret) + 20):
        data = piece(log, len(log) - kept, len(log), ENDED)
        assert not gives_away(log_pages.tail(data).text, secret), kept
        begun = paging.last_written(b"\n" + log[: len(log) - kept], 3)
        assert not any(gives_away(line, secret) for line in begun), kept


@pytest.mark.parametrize("secret", [TOKEN, NAMED], ids=["a token", "a named value"])
def test_a_secret_where_a_matching_line_is_clipped_or_a_piece_ends(
    secret: bytes,
) -> None:
    for before in range(1900, 2010):
        log = b"match " + b"y" * before + b" " + secret + b" end\n"
        page = log_pages.matching(piece(log, 0, len(log), ENDED), "match", forward=True)
        assert not gives_away(page.text, secret), before
    log = b"match one\nmatch " + secret + b" end\nmatch two\n"
    for end in range(len(log)):
        begun = log_pages.matching(piece(log, 0, end, RUNNING), "match", forward=True)
        rest = piece(log, begun.next_offset, len(log), ENDED)
        more = log_pages.matching(rest, "match", forward=True)
        assert not gives_away(begun.text + more.text, secret), end


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("filler", [b"word ", b"line\n", b"x"])
def test_a_secret_where_an_answer_is_cut_to_its_two_ends(
    secret: bytes, filler: bytes
) -> None:
    limit = 3000
    long = filler * (4 * limit // len(filler))
    for before in range(limit // 2 - len(secret) - 9, limit // 2 + 9, 3):
        front = long[:before] + b" " + secret
        for data in (front + long, long + secret + b" " + long[:before]):
            job = dataclasses.replace(ENDED, log_path="/x/log", stderr_path="/x/err")
            result = CommandResult(
                job=job, end=EndKind.EXITED,
                stdout=Output(head=data, size_bytes=len(data)),
            )  # fmt: skip
            text = stream_words.shown(result, Steps(), limit)
            assert not gives_away(text, secret), before


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize("from_end", [True, False])
def test_a_secret_in_the_lines_of_a_file(secret: bytes, *, from_end: bool) -> None:
    text = "first\n" + secret.decode().rstrip("\n") + "\nlast"
    for before in (0, 1, *range(4900, 5010, 3)):
        lines = tuple(("z" * before + text).split("\n"))
        shown = file_words.lines(
            FileSlice(
                path="/x", lines=lines, first_line=7, total_lines=None,
                size_bytes=len(text), at_end=True, cut=False,
            ),
            from_end=from_end,
            steps=Steps(),
        )  # fmt: skip
        assert not gives_away(shown, secret), before
        assert "first" in shown or before > 4900
