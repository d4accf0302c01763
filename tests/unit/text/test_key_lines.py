"""A key that is read from its midst shows none of its lines."""

import base64
import random

import pytest

from sandbox_ops.text import key_lines, remote_text
from sandbox_ops.text.redaction import RedactingStream, Redactor

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


@pytest.mark.parametrize("width", [64, 70])
def test_lines_from_the_midst_of_a_key_are_masked_in_what_a_command_printed(
    width: int,
) -> None:
    key = "".join(f"{line}\n" for line in body(width, 6)[:4])
    assert remote_text.safe(f"loss=1\n{key}done\n") == (
        "loss=1\n" + 4 * f"{key_lines.MASK}\n" + "done\n"
    )
    log = "".join(f"step {n} loss=0.5\n" for n in range(5000))
    shown = remote_text.safe(f"{log}{key}{log}".encode())
    assert shown == log + 4 * f"{key_lines.MASK}\n" + log


@pytest.mark.parametrize(
    "text",
    [
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n" * 3,
        "-----BEGIN CERTIFICATE-----\n"
        + "\n".join(body(64, 5))
        + "\n-----END CERTIFICATE-----\n",
        "\n".join(body(76, 4)),
        "step 1\n" + body(64, 2)[0] + "\ndone\nstep 2\n",
        body(64, 2)[0] + "\n",
        "".join(f"img {line}\n" for line in body(64, 5)),
        "ACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTACGTAC\n" * 9,
    ],
    ids=["sums", "certificate", "base64(1)", "a line", "all of it", "words", "genes"],
)
def test_what_looks_otherwise_than_a_key_is_shown(text: str) -> None:
    assert remote_text.safe(text) == text
    log = f"step 1\n{text}\nstep 2\n" * 2000
    assert remote_text.safe(log.encode()) == log
    stream = remote_text.SafeStream()
    assert stream.feed(text.encode()) + stream.finish() == text


@pytest.mark.chance
def test_lines_of_a_key_are_masked_wherever_a_stream_is_cut(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    redactor = Redactor()
    for _ in range(200):
        key = [f"{line}\n" for line in body(rng.choice((64, 70)), 9)]
        begin = rng.randrange(7)
        lines = [*key[begin : rng.randrange(begin + 2, 10)], "step 2 loss=0.1\n"]
        data = "".join(("step 1 loss=0.2\n", *lines)).encode()
        stream, shown, done = RedactingStream(redactor), b"", 0
        while done < len(data):
            size = rng.choice((16, 64, 65, 200))
            shown += stream.feed(data[done : done + size])
            done += size
        assert shown + stream.finish() == redactor.mask(data)
        assert shown.count(b"[redacted: private-key]") >= len(lines) - 2
