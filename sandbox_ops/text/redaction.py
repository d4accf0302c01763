"""Masks secrets: known values in all their forms, tokens by their shape, URLs with one.

Pure, and linear in the text: everything is searched by RE2, and a shape is only tried on a
line that has one of its keywords. A mask says what it hides: `[redacted: github-pat]`.
(Over 250 lines: what is known, what has a shape and what is a URL are masked in one pass.)
"""

import functools
import itertools
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox_ops.text import clean, key_lines, secret_forms

_LINE_LIMIT = 1 << 12
"""So much of an unfinished line is held back at most, and of a private key four times it."""
_COMMON_STEMS = (
    b"@", b"authorization", b"token=", b"key=", b"secret=", b"password=", b"sig=",
    b"signature=",
)  # fmt: skip
"""Plain text without which there is none of `_COMMON`."""

_OPEN_STEMS = (
    b"://", b"?", b"&", b"sk", b"sg.", b"sc_", b"ext_", b"test_", b"live_",
)  # fmt: skip
"""What begins a keyword that is a pattern: the rest of it may be still to come."""

_MASK = b"[redacted"
_LITTLE_BYTES = 1 << 13
_FEW = 64
_WORD_LIMIT = 512

_URL = (  # user information with a password, or as long as a token: git@ is no secret
    rb"://([^\s/@\"'<>:]{0,128}:[^\s/@\"'<>]{1,256}|[^\s/@\"'<>:]{12,256})@"
)
_QUERY = (
    rb"(?i)[?&](?:private_token|access_token|auth_token|token|api_?key|client_secret|password"
    rb"|secret|sig|signature|x-amz-signature|x-amz-security-token|x-goog-signature)"
    rb"=([^\s&#\"'<>]{8,})"
)
_HEADER = (
    rb"(?i)authorization[\"']?\s{0,8}[:=]\s{0,8}[\"']?(?:(?:bearer|basic|token)\s{1,8})?"
    rb"([\w=~.+/-]{8,})"
)
_PRIVATE_KEY = rb"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_KEY_END = rb"-----END[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----"
_BLOCK = rb"-----BEGIN [ A-Z0-9_-]{1,100}-----"
_BLOCK_END = rb"-----END [ A-Z0-9_-]{1,100}-----"
_KEY_LINES = (
    # what is cut off has no end: its lines are known by their letters
    rb"(?m)" + _PRIVATE_KEY + rb"[\sA-Za-z0-9+/=:,.\\]*(?:" + _PRIVATE_KEY_END + rb")?"
    # and what begins in the midst of one, no beginning
    rb"|(?:^[A-Za-z0-9+/=]{1,100}\r?\n)*" + _PRIVATE_KEY_END
)
_COMMON = (
    ("url-credentials", (r"://[^\s/@\"'<>]{1,256}@",), _URL),
    (
        "url-token",
        (r"[?&](?:[a-z]{2,20}[_-])?(?:token|key|secret|password|sig|signature)=",),
        _QUERY,
    ),
    ("authorization-header", ("authorization",), _HEADER),
)


class Redactor:
    """Masks what it knows. Threads may share it.

    Args:
        secrets: Values by the name that the mask says.

    Raises:
        ConfigError: A secret is too short to be masked.
    """

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        names: dict[bytes, str] = {}
        for name, value in (secrets or {}).items():
            names |= dict.fromkeys(secret_forms.forms(name, value), name)
        self._names = names
        # the longest first: one form may begin with another
        literals = sorted(names, key=len, reverse=True)
        self._known = (
            _compiled(b"|".join(map(re.escape, literals))) if literals else None
        )

    @functools.cached_property
    def _beginnings(self) -> frozenset[bytes]:
        stems = (*_keyword_stems(), *_OPEN_STEMS)
        return _beginnings(self._names) | _beginnings(stems)

    @functools.cached_property
    def _notable(self) -> Any:  # noqa: ANN401 - re2 ships no types
        """What finds a keyword, a known value or what no reader sees, in one walk."""
        literals = [f"(?-i:{re.escape(form.decode())})" for form in self._names]
        keywords = "|".join(
            (*_keywords(), "PRIVATE KEY", "-----BEGIN", key_lines.LINE, *literals)
        )
        return _compiled(f"[{clean.HIDDEN}]|{keywords}".encode(), fold=True, utf8=True)

    def find_notable(self, data: bytes, begin: int = 0) -> tuple[int, int] | None:
        """Return where a line may have what is cleaned or masked; None where none does."""
        match = self._notable.search(data, begin)
        return None if match is None else match.span()

    def plain_lines(self, data: bytes) -> bytes:
        """Return the whole lines that some data begins with, if nothing is notable there."""
        lines = data[: data.rfind(b"\n") + 1]
        few = len(lines) < _LITTLE_BYTES  # not worth RE2's start-up
        return b"" if few or self.find_notable(lines) else lines

    def mask(self, data: bytes) -> bytes:
        """Return the data with a mask in the place of each secret."""
        if self._known is not None and self._known.search(data):
            data = self._known.sub(self._mask_known, data)
        return _mask_shapes(data)

    def mask_text(self, text: str) -> str:
        """Return the text with a mask in the place of each secret."""
        data = text.encode("utf-8", "surrogatepass")
        masked = self.mask(data)
        return text if masked is data else masked.decode("utf-8", "surrogatepass")

    def open_bytes(self, data: bytes) -> int:
        """Return how many of the last bytes may be the beginning of a secret."""
        begin = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        line = data[max(begin, len(data) - _LINE_LIMIT) :]
        if _may_have_token(line):
            return len(line)
        word = line[_word_begin(line, len(line)) :].lower()
        if any(stem in word for stem in _OPEN_STEMS):
            return len(word)
        begun = _begun(line, self._beginnings)
        # what stands before a keyword without a gap (a name) belongs to it
        return len(line) - _word_begin(line, len(line) - begun) if begun else 0

    @functools.cached_property
    def _endings(self) -> frozenset[bytes]:
        return frozenset(form[n:] for form in self._names for n in range(1, len(form)))

    def rest_bytes(self, data: bytes) -> int:
        """Return how many of the first bytes may be the rest of a secret."""
        begin = data[:_LINE_LIMIT]
        blank = _compiled(rb"\s").search(begin)
        n_bytes = len(begin) if blank is None else blank.start()
        longest = min(max(map(len, self._endings), default=0), len(begin))
        known = (n for n in range(longest, n_bytes, -1) if begin[:n] in self._endings)
        n_bytes = next(known, n_bytes)
        whole = self._known and self._known.search(begin)  # one that has blanks
        return (
            max(n_bytes, whole.end()) if whole and whole.start() < n_bytes else n_bytes
        )

    def held_bytes(self, data: bytes) -> int:
        """Return how many of the last bytes wait for the rest of a secret, or of a key."""
        end = len(data) - self.open_bytes(data)
        begin, block_end = _last_block(data)
        if block_end is None and len(data) - begin <= 4 * _LINE_LIMIT:
            end = min(end, begin)
        elif block_end is not None and begin < end:
            end = max(end, block_end)
        return len(data) - min(end, max(key_lines.open_from(data), block_end or 0))

    def _mask_known(self, match: Any) -> bytes:  # noqa: ANN401 - re2 ships no types
        return _mask_of(self._names[match.group(0)])


class RedactingStream:
    """Masks a stream piece by piece: the same bytes as all of it at once.

    What may be the beginning of a secret waits for the next piece.

    Args:
        redactor: What masks it.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._open = b""

    def feed(self, data: bytes) -> bytes:
        """Return what can be shown now."""
        data = self.take() + data
        plain = self._redactor.plain_lines(data)
        data = data[len(plain) :]
        end = len(data) - self._redactor.held_bytes(data)
        self._open = data[end:]
        return plain + self._redactor.mask(data[:end])

    def take(self) -> bytes:
        """Return what was held back as it came: it has to be fed again."""
        rest, self._open = self._open, b""
        return rest

    def finish(self) -> bytes:
        """Return what was still open at the end."""
        return self._redactor.mask(self.take())


def _last_block(data: bytes) -> tuple[int, int | None]:
    """Return where the last key or certificate begins and ends; None: it has not ended."""
    if b"-----BEGIN" not in data:
        return len(data), None
    begins = [match.start() for match in _compiled(_BLOCK).finditer(data)]
    if not begins:
        return len(data), None
    end = _compiled(_BLOCK_END).search(data, begins[-1])
    return begins[-1], None if end is None else end.end()


def _mask_shapes(data: bytes) -> bytes:
    """Mask private keys, and tokens in what stands between them.

    A token ends where a key begins, as at the end of a line: a stream holds the key back,
    and sees no more than that.
    """
    if b"PRIVATE KEY" not in data:
        return _mask_tokens(data)
    parts: list[bytes] = []
    done = 0
    for match in _compiled(_KEY_LINES).finditer(data):
        parts += (_mask_tokens(data[done : match.start()]), _mask_lines(match))
        done = match.end()
    return b"".join((*parts, _mask_tokens(data[done:])))


def _mask_tokens(data: bytes) -> bytes:
    """Mask lines from the midst of a key, and the tokens in lines that have a keyword."""
    data = key_lines.mask(data)
    if not _may_have_token(data):
        return data
    search = _prefilter().search
    parts: list[bytes] = []
    done = 0
    while (match := search(data, done)) is not None:
        begin = max(data.rfind(b"\n", done, match.start()) + 1, done)
        end = data.find(b"\n", match.end())
        end = len(data) if end < 0 else end
        parts += (data[done:begin], _mask_line(data[begin:end]))
        done = end
    return b"".join((*parts, data[done:])) if parts else data


def _mask_line(line: bytes) -> bytes:
    shapes = _shapes()
    for number in sorted(_keyword_set().Match(line)):
        name, pattern, entropy = shapes[number]
        replace = functools.partial(_mask_match, name, entropy)
        line = _compiled(pattern).sub(replace, line)
    return line


def _mask_match(name: str, least_entropy: float, match: Any) -> bytes:  # noqa: ANN401
    groups = match.groups()
    number = next((n for n, group in enumerate(groups, 1) if group), 0)
    begin, end = match.span(number)
    at = match.start()
    whole: bytes = match.group(0)
    if whole[begin - at :].startswith(_MASK):
        return whole  # it was masked before: to pass twice does no harm
    if least_entropy and _entropy(whole[begin - at : end - at]) < least_entropy:
        return whole
    return whole[: begin - at] + _mask_of(name) + whole[end - at :]


def _mask_lines(match: Any) -> bytes:  # noqa: ANN401
    """Mask each line of a key: a line stays a line, so that their numbers hold."""
    key: bytes = match.group(0)
    mask = _mask_of("private-key")
    return b"\n".join(mask if line.strip() else line for line in key.split(b"\n"))


def _mask_of(name: str) -> bytes:
    return b"%s: %s]" % (_MASK, name.encode())


def _entropy(data: bytes) -> float:
    """Return Shannon's entropy, in bits a byte: a word of a language has little."""
    counts = Counter(data).values()
    return -sum(n / len(data) * math.log2(n / len(data)) for n in counts)


_few_checks = itertools.count()


def _may_have_token(data: bytes) -> bool:
    """Whether a keyword is there; of little text, at first, without RE2's start-up."""
    if len(data) <= _LITTLE_BYTES and next(_few_checks) < _FEW:
        low = data.lower()
        if not any(stem in low for stem in _keyword_stems()):
            return False
    return _prefilter().search(data) is not None


@functools.cache
def _shapes() -> tuple[tuple[str, bytes, float], ...]:
    """Return name, pattern and least entropy of each shape; compiled when first needed."""
    from sandbox_ops.text.token_shapes import SHAPES

    common = [(name, pattern, 0.0) for name, _, pattern in _COMMON]
    return (*common, *((name, p.encode(), least) for name, _, p, least in SHAPES))


@functools.cache
def _keywords() -> tuple[str, ...]:
    """Return for each shape, in the same order, a pattern of its keywords."""
    from sandbox_ops.text.token_shapes import SHAPES

    rows = (*(row for _, row, _ in _COMMON), *(row for _, row, _, _ in SHAPES))
    return tuple("|".join(row) for row in rows)


@functools.cache
def _keyword_stems() -> tuple[bytes, ...]:
    """Return the plain beginnings of the keywords: what a split token may end in."""
    from sandbox_ops.text.token_shapes import STEMS

    return (*(stem.encode() for stem in STEMS), *_COMMON_STEMS)


@functools.cache
def _prefilter() -> Any:  # noqa: ANN401 - re2 ships no types
    return _compiled("|".join(_keywords()).encode(), fold=True)


@functools.cache
def _keyword_set() -> Any:  # noqa: ANN401
    """Return what says which shapes a line has a keyword of, in one walk over it."""
    import re2

    keyword_set = re2.Set.SearchSet(_options(fold=True))
    for pattern in _keywords():
        keyword_set.Add(pattern.encode())
    keyword_set.Compile()
    return keyword_set


@functools.cache
def _compiled(pattern: bytes, *, fold: bool = False, utf8: bool = False) -> Any:  # noqa: ANN401
    import re2

    return re2.compile(pattern, options=_options(fold=fold, utf8=utf8))


def _options(*, fold: bool, utf8: bool = False) -> Any:  # noqa: ANN401
    import re2

    options = re2.Options()
    encodings = re2.Options.Encoding
    options.encoding = encodings.UTF8 if utf8 else encodings.LATIN1
    options.case_sensitive = not fold
    options.log_errors = False
    options.max_mem = 32 << 20
    return options


def _word_begin(line: bytes, at: int) -> int:
    """Return where the word begins that goes on at a place, a few hundred bytes back."""
    least = max(0, at - _WORD_LIMIT)
    while at > least and not line[at - 1 : at].isspace():
        at -= 1
    return at


def _beginnings(forms: Iterable[bytes]) -> frozenset[bytes]:
    """Return what the forms begin with, in lower case, each one short of the whole."""
    return frozenset(form[:n].lower() for form in forms for n in range(1, len(form)))


def _begun(line: bytes, beginnings: frozenset[bytes]) -> int:
    """Return how many of the last bytes of a line are the longest of the beginnings."""
    longest = max(map(len, beginnings), default=0)
    end = line[-longest:].lower()
    for at in range(len(end)):
        if end[at:] in beginnings:
            return len(end) - at
    return 0
