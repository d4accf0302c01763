"""`[user@]host[:port]` and host patterns, as ssh takes and refuses them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.text import address
from sandbox_ops.text.address import Address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpu1", Address(host="gpu1")),
        ("me@gpu1", Address(host="gpu1", user="me")),
        ("me@gpu1:2222", Address(host="gpu1", user="me", port=2222)),
        ("gpu1:22", Address(host="gpu1", port=22)),
        ("[::1]:22", Address(host="::1", port=22)),
        ("[::1]", Address(host="::1")),
        ("::1", Address(host="::1")),
        ("me@fe80::1%eth0", Address(host="fe80::1%eth0", user="me")),
        ("me@corp@gpu1", Address(host="gpu1", user="me@corp")),
        ("CORP\\me@gpu1", Address(host="gpu1", user="CORP\\me")),
        ("ssh://me@gpu1:33/", Address(host="gpu1", user="me", port=33)),
        ("ssh://CORP%5Cme@gpu1", Address(host="gpu1", user="CORP\\me")),
        ("ssh://c@[::1]:33", Address(host="::1", user="c", port=33)),
    ],
)
def test_every_form_that_ssh_takes_is_read(text: str, expected: Address) -> None:
    assert address.read(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "names no host"),
        ("me@", "names no host"),
        ("@gpu1", "names no user"),
        ("-oProxyCommand=x", 'has a host that begins with "-"'),
        ("me@-oProxyCommand=x", 'has a host that begins with "-"'),
        ("-oProxyCommand=x@gpu1", 'has a user that begins with "-"'),
        ("gpu1\n", "has control characters in its host"),
        ("me\x1b[0m@gpu1", "has control characters in its user"),
        ("gpu 1", "has white space in its host"),
        ("$(id)", "has $ in its host"),
        ("a`id`@gpu1", "has ` in its user"),
        ("a;b", "has ; in its host"),
        ("../../evil", "has / in its host"),
        ("ssh://gpu1/path", "has / in its host"),
        ("ssh://%24x", "has $ in its host"),
        ("gpu1:", "has a port that is not a number from 1 to 65535"),
        ("gpu1:0", "has a port that is not a number from 1 to 65535"),
        ("gpu1:65536", "has a port that is not a number from 1 to 65535"),
        ("gpu1:" + "9" * 5000, "has a port that is not a number from 1 to 65535"),
        ("[::1", 'has a "[" without "]" or "]:port"'),
        ("[::1]22", 'has a "[" without "]" or "]:port"'),
    ],
)
def test_what_could_be_more_than_a_name_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        address.read(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read = address.read(text)
    except ValueError:
        return
    assert not read.host.startswith("-")
    assert not set(read.host) & set("'`\"$\\;&<>|(){}, \t\n\0")


@pytest.mark.parametrize(
    ("patterns", "name", "expected"),
    [
        (["gpu*"], "gpu1", True),
        (["gpu?"], "gpu", False),
        (["*"], "", True),
        (["GPU1"], "gpu1", True),
        (["*.org", "!bad.org"], "bad.org", False),
        (["!bad.org", "*.org"], "good.org", True),
        (["!good.org"], "other.org", False),
        (["[a-z]"], "b", False),
        (["*a*b*c"], "xxaxxbxxc", True),
        (["*a*b*c"], "xxaxxbxx", False),
        ([], "gpu1", False),
    ],
)
def test_patterns_match_as_in_openssh(
    patterns: list[str], name: str, expected: bool
) -> None:
    assert address.matches(patterns, name) is expected


@given(st.text("a*?", max_size=12), st.text("ab", max_size=12))
def test_a_pattern_matches_as_the_same_regular_expression(
    pattern: str, name: str
) -> None:
    expression = pattern.replace("*", ".*").replace("?", ".")
    assert address.matches([pattern], name) is bool(re.fullmatch(expression, name))


def test_a_hostile_pattern_costs_no_time() -> None:
    assert not address.matches(["*a" * 500 + "b"], "a" * 5000)
