"""Secrets are masked, in every form and wherever a stream is cut; the rest stays."""

import base64
import json
import random
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import ConfigError
from sandbox_ops.text import clean, remote_text
from sandbox_ops.text.redaction import RedactingStream, Redactor
from sandbox_ops.text.token_shapes import SHAPES

SECRET = 'pa55/w+rd"ä=42!'  # noqa: S105
KEY = """-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACDkQpRiJ0vY5pQmM0vXGgkS2fQbqPMWzvQ1QvKxGvBnZgAAAJgAAAAAAAAA
-----END OPENSSH PRIVATE KEY-----
"""
# by what they are; made here, so that no scanner takes this file for a leak
TOKENS = {
    "aws-access-token": "AKIA" + "Q3EGRVZJ2KXM5TWN",
    "github-pat": "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5",
    "huggingface-access-token": "hf_" + "QwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUi",
    "gitlab-pat": "glpat-" + "aB3dE5fG7hJ9kL1mN3pQ",
    "slack-bot-token": "xoxb-" + "123456789012-1234567890123abcDEF456ghi",
    "npm-access-token": "npm_" + "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6q7r8",
    "jwt": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0."
    "dozjgNryP4J3jVmNHl0w5N_XgL5yR0uZ7pQ2mE8aB1c",
}


@pytest.mark.parametrize(
    "encode",
    [
        str,
        urllib.parse.quote,
        lambda s: urllib.parse.quote(s, safe=""),
        urllib.parse.quote_plus,
        lambda s: json.dumps(s)[1:-1],
        lambda s: json.dumps(s, ensure_ascii=False)[1:-1],
        lambda s: base64.b64encode(s.encode()).decode().rstrip("="),
        lambda s: base64.urlsafe_b64encode(s.encode()).decode().rstrip("="),
    ],
    ids=[
        "plain",
        "url",
        "url all",
        "form",
        "json",
        "json utf-8",
        "base64",
        "url base64",
    ],
)
def test_a_known_secret_is_masked_in_every_form(encode: Callable[[str], str]) -> None:
    redactor = Redactor({"API_KEY": SECRET})
    masked = redactor.mask_text(f"a {encode(SECRET)} b")
    assert masked == "a [redacted: API_KEY] b"


@given(st.text(max_size=5), st.text(max_size=5))
def test_base64_of_a_text_around_a_secret_does_not_give_it_away(
    before: str, after: str
) -> None:
    encoded = base64.b64encode(f"{before}{SECRET}{after}".encode()).decode()
    masked = Redactor({"API_KEY": SECRET}).mask_text(encoded)
    assert "[redacted: API_KEY]" in masked
    assert len(masked.replace("[redacted: API_KEY]", "")) <= len(encoded) - 16


def test_each_line_of_a_key_is_masked_by_itself() -> None:
    redactor = Redactor({"DEPLOY_KEY": KEY})
    for line in KEY.splitlines()[1:-1]:
        assert redactor.mask_text(f"> {line} <") == "> [redacted: DEPLOY_KEY] <"


def test_a_private_key_that_nobody_named_is_masked_whole() -> None:
    assert Redactor().mask_text(f"before\n{KEY}after\n") == (
        "before\n" + 4 * "[redacted: private-key]\n" + "after\n"
    )


@pytest.mark.parametrize("short", ["", "x", "1234567", "       a "])
def test_a_secret_that_would_mask_much_else_is_refused(short: str) -> None:
    with pytest.raises(ConfigError, match="API_KEY is shorter than 8"):
        Redactor({"API_KEY": short})


@pytest.mark.parametrize(("name", "token"), TOKENS.items(), ids=TOKENS)
def test_a_token_is_known_by_its_shape(name: str, token: str) -> None:
    assert Redactor().mask_text(f'key="{token}" end') == f'key="[redacted: {name}]" end'


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://TOKENTOKENTOKEN@h/x", "https://[redacted: url-credentials]@h/x"),
        ("http://u:pw@h", "http://[redacted: url-credentials]@h"),
        ("postgres://u:pw@h/db", "postgres://[redacted: url-credentials]@h/db"),
        ("x?private_token=abcdefgh1&a=1", "x?private_token=[redacted: url-token]&a=1"),
        (
            "Authorization: Bearer abc.def-123",
            "Authorization: Bearer [redacted: authorization-header]",
        ),
    ],
)
def test_a_secret_in_a_url_or_a_header_is_masked(text: str, masked: str) -> None:
    assert Redactor().mask_text(text) == masked
    assert Redactor().mask_text(masked) == masked, "to pass twice does harm"


@pytest.mark.parametrize(
    "line",
    [
        "git@github.com:me/bucket-brigade.git",
        "ssh://git@github.com/me/x",
        "step 120/5000 loss=0.1234 tokens/s 12000",
        "https://example.com/a?page=2&key=1",
        "the authorization of a task on disk; monkeys, keys and tokens",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "wandb: Run data is saved locally in /workspace/x/wandb/run-20261125_101010-1a2b",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert Redactor({"API_KEY": SECRET}).mask_text(line) == line


def _canaries(rng: random.Random) -> list[bytes]:
    plain = SECRET.encode()
    lines = [token.encode() for token in TOKENS.values()]
    lines += [plain, base64.b64encode(b"u:" + plain), KEY.encode(), b"https://a:b@h/"]
    return [lines[rng.randrange(len(lines))] for _ in range(6)]


@pytest.mark.chance
def test_a_secret_split_anywhere_in_a_stream_is_masked_as_in_one_piece(
    seed: int,
) -> None:
    rng = random.Random(seed)  # noqa: S311
    redactor = Redactor({"API_KEY": SECRET})
    for _ in range(300):
        items = [
            b"step 1/2 loss=0.5",
            b"\n",
            b" ",
            b"\r",
            b"gh",
            b"key",
            b"\xff",
            b"-----",
        ]
        parts = [rng.choice([*items, *_canaries(rng)]) + rng.choice([b"\n", b" ", b"\r\n"])
                 for _ in range(12)]  # fmt: skip
        data = b"".join(parts)
        stream = RedactingStream(redactor)
        reported = b""
        at = 0
        while at < len(data):
            size = rng.choice([1, 2, 3, 7, 50, 400])
            reported += stream.feed(data[at : at + size])
            at += size
        reported += stream.finish()
        assert reported == redactor.mask(data), (data, reported)
        assert not any(
            token.encode() in reported for token in (*TOKENS.values(), SECRET)
        )


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_a_token_cut_at_any_byte_is_never_shown(token: str) -> None:
    data = f"x {token} y".encode()
    for cut in range(len(data)):
        stream = RedactingStream(Redactor())
        reported = stream.feed(data[:cut]) + stream.feed(data[cut:]) + stream.finish()
        assert token.encode() not in reported
        assert reported == Redactor().mask(data)


@pytest.mark.parametrize("token", TOKENS.values(), ids=TOKENS)
def test_a_token_directly_before_or_after_a_private_key_is_masked(token: str) -> None:
    for data in (f"x {token}{KEY}\n".encode(), f"x {KEY}{token}\n".encode()):
        masked = Redactor().mask(data)
        assert token.encode() not in masked
        stream = RedactingStream(Redactor())
        reported = b"".join(stream.feed(data[at : at + 1]) for at in range(len(data)))
        assert reported + stream.finish() == masked


def test_ordinary_output_is_reported_at_once() -> None:
    stream = RedactingStream(Redactor({"API_KEY": SECRET}))
    assert stream.feed(b"loading 10 %") == b"loading 10 %"


def test_every_pattern_of_the_table_is_one_of_re2() -> None:
    import re2

    options = re2.Options()
    options.log_errors = False
    for name, arguments, pattern, _ in SHAPES:
        assert re2.compile(pattern.encode(), options=options), name
        assert arguments, name


@pytest.mark.chance
def test_a_long_text_is_made_safe_as_in_one_piece(seed: int) -> None:
    rng = random.Random(seed)  # noqa: S311
    remote_text.protect({"LONG_TEXT_KEY": SECRET})
    plain = [b"step 12/500 loss=0.25\n", "perte=0,5 ██▌ é\n".encode(), b"\n", b"\r 12%"]
    odd = [
        b"\x1b[31mred\x1b[0m\n",
        b"\xff\xfe\n",
        b"a\0b\n",
        "x\u202ey\n".encode(),
        b"dropbox\n",
    ]
    for _ in range(60):
        lines = [rng.choice(plain) * rng.choice([1, 3, 300]) for _ in range(40)]
        for _ in range(rng.choice([0, 1, 5, 40])):
            secret = rng.choice([*odd, *_canaries(rng)]) + b"\n" * rng.randrange(2)
            lines.insert(rng.randrange(len(lines)), secret)
        data = b"".join(lines) + b"z" * 20_000
        whole = remote_text.masked(clean.clean(data))
        assert remote_text.safe(data) == whole
        stream = remote_text.SafeStream()
        size = rng.choice([1000, 9000, 70_000])
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert "".join([*map(stream.feed, pieces), stream.finish()]) == whole


# of each a rule that knows the token by a word far before it, in the table of others
FAR = {
    "lob-api-key": "live_" + "0123456789abcdef" * 2 + "abc",
    "lob-pub-api-key": "test_pub_" + "0123456789abcdef" + "0123456789abcde",
    "new-relic-user-api-key": "NRAK-" + "ABCDEFGHJKLMNPQRSTUVWXYZ123",
    "typeform-api-token": "tfp_"
    "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
    "aB3dE5fG7hJ9kL1mN3pQ5rS",
}


@pytest.mark.parametrize(("name", "token"), FAR.items(), ids=FAR)
def test_a_token_is_masked_where_the_word_that_names_it_has_gone_before(
    name: str, token: str
) -> None:
    data = f"lob new-relic typeform_key = {token} y\n".encode()
    assert Redactor().mask_text(token) == f"[redacted: {name}]"
    for cut in range(len(data)):
        stream = RedactingStream(Redactor())
        shown = stream.feed(data[:cut]) + stream.feed(data[cut:]) + stream.finish()
        assert token[:12].encode() not in shown
        assert shown == Redactor().mask(data), cut


def test_words_of_a_training_are_no_keywords() -> None:
    redactor = Redactor()
    words = b"next_token text_loss=1 disc_loss=2 test_acc=0.9 live_bytes=3\n" * 1000
    assert redactor.plain_lines(words) == words
