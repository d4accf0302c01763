"""One entry set in a file of somebody else's: all the rest stays as it was written."""

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.cli.config_edit import json_entry, json_with, toml_entry, toml_with

PATH = ("mcpServers", "ours")
VALUE = {"command": "x", "args": ["--a", "ü"], "env": {"A": "1"}}
SPACED = """\
{
    "theme":   "dark",
    "mcpServers": {
        "other": { "command": "y" }
    },
    "list": [1,2,   3]
}
"""


def test_a_new_entry_leaves_every_other_line_as_it_is() -> None:
    after = json_with(SPACED, PATH, VALUE)
    assert json.loads(after)["mcpServers"]["ours"] == VALUE
    added = [line for line in after.splitlines() if line not in SPACED.splitlines()]
    rest = [line for line in after.splitlines() if line not in added]
    assert rest == [line for line in SPACED.splitlines() if line in rest]
    assert len(rest) == len(SPACED.splitlines())
    assert after.splitlines()[3] == '        "ours": {'


def test_an_old_entry_is_replaced_in_its_place() -> None:
    once = json_with(SPACED, PATH, {"command": "old"})
    twice = json_with(once, PATH, VALUE)
    assert twice == json_with(SPACED, PATH, VALUE)
    assert json_entry(twice, PATH) == VALUE


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("", '{\n  "m": {\n    "o": {}\n  }\n}\n'),
        ("{}", '{\n  "m": {\n    "o": {}\n  }\n}'),
        ('{"m": {}}', '{"m": {\n    "o": {}\n  }}'),
        ('{\n\t"m": {}\n}', '{\n\t"m": {\n\t\t"o": {}\n\t}\n}'),
        ('{"a": 1}', '{\n  "m": {\n    "o": {}\n  },"a": 1}'),
    ],
)
def test_the_entry_finds_its_place_in_any_object(text: str, after: str) -> None:
    assert json_with(text, ("m", "o"), {}) == after


@pytest.mark.parametrize(
    "text",
    ["[1]", "{", '{"m": [1]}', '{"m": {"o": 1}}', '// why\n{"a": 1}', "nonsense"],
)
def test_what_is_no_plain_json_object_is_refused(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        json_with(text, ("m", "o"), {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=4), JSON, max_size=4),
    st.sampled_from([None, 1, 2, 4, "\t"]),
)
def test_any_object_gets_the_entry_and_keeps_its_meaning(
    before: dict[str, Any], indent: int | str | None
) -> None:
    before.pop("m", None)
    after = json.loads(json_with(json.dumps(before, indent=indent), ("m", "o"), VALUE))
    assert after == {**before, "m": {"o": VALUE}}


TOML = """\
# mine
model = "x"   # aligned

[mcp_servers.other]   # keep
command = "y"

[profiles.fast]
model = "z"
"""
TABLE = ("mcp_servers", "sandbox-ops")


def test_a_new_table_is_appended_and_nothing_else_changes() -> None:
    after = toml_with(TOML, TABLE, VALUE)
    assert after.startswith(TOML)
    assert toml_entry(after, TABLE) == VALUE
    assert after.endswith('\n[mcp_servers.sandbox-ops.env]\nA = "1"\n')


@pytest.mark.parametrize(
    "header", ["[mcp_servers.sandbox-ops]", '[ mcp_servers . "sandbox-ops" ]']
)
def test_an_old_table_is_replaced_with_its_children(header: str) -> None:
    old = f"{TOML}\n{header}\ncommand = 'old'\n[mcp_servers.sandbox-ops.env]\nB = '2'\n\n[last]\na = 1\n"  # fmt: skip
    after = toml_with(old, TABLE, VALUE)
    assert tomllib.loads(after) == {
        **tomllib.loads(TOML),
        "last": {"a": 1},
        "mcp_servers": {"other": {"command": "y"}, "sandbox-ops": VALUE},
    }
    assert after.startswith(TOML)


@pytest.mark.parametrize(
    "text",
    [
        'mcp_servers = { other = { command = "y" } }\n',
        'mcp_servers.sandbox-ops.command = "x"\n',
        'x = """\n[mcp_servers.sandbox-ops]\n"""\n',
        "nonsense",
    ],
)
def test_toml_that_cannot_be_edited_safely_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"safely|Expected|expected|Invalid"):
        toml_with(text, TABLE, VALUE)


def test_an_empty_file_becomes_the_table_alone() -> None:
    assert toml_with("", TABLE, {"a": [1, "x"]}) == (
        '[mcp_servers.sandbox-ops]\na = [1, "x"]\n'
    )
