"""A key that is read from its midst shows none of its lines."""

import base64
import random

import pytest

from sandbox_ops.text import key_lines

RANDOM = random.Random(7)  # noqa: S311 - no secret


def body(width: int, count: int) -> list[str]:
    """Return lines as a key of random bytes has them, the last one shorter."""
    text = base64.b64encode(
        RANDOM.randbytes(width * (count - 1) * 3 // 4 + 20)
    ).decode()
    return [text[at : at + width] for at in range(0, len(text), width)]


@pytest.mark.parametrize("width", [64, 70])
def test_any_part_of_a_key_is_masked(width: int) -> None:
    key = body(width, 12)
    for begin in range(len(key) - 1):
        for end in range(begin + 1, len(key) + 1):
            part = key[begin:end]
            assert key_lines.masked(part) == [key_lines.MASK] * len(part)


def test_what_stands_around_stays() -> None:
    key = body(64, 4)
    lines = ["db:", *key, "name: x"]
    assert key_lines.masked(lines) == ["db:", *[key_lines.MASK] * len(key), "name: x"]


@pytest.mark.parametrize(
    "lines",
    [
        ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"] * 3,
        ["-----BEGIN CERTIFICATE-----", *body(64, 5)],
        ["step 1", body(64, 2)[0], "step 2"],
        body(76, 4),
        ["a" * 64, "b" * 64],
        [],
    ],
    ids=["checksums", "certificate", "one line", "mail", "letters", "nothing"],
)
def test_what_is_no_key_stays(lines: list[str]) -> None:
    assert key_lines.masked(lines) == lines
