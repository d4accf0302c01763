"""One entry set in a file of somebody else's: all the rest stays as it was written."""

import difflib
import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.cli import entry_edit

JSON_FILE, TOML_FILE, YAML_FILE = map(
    entry_edit.of_file, ("mcp.json", "config.toml", "config.yaml")
)


def json_with(text: str, path: tuple[str, ...], value: dict[str, Any]) -> str:
    return entry_edit.edited(text, path, value, JSON_FILE)


def toml_with(text: str, path: tuple[str, ...], value: dict[str, Any]) -> str:
    return entry_edit.edited(text, path, value, TOML_FILE)


def yaml_with(text: str, path: tuple[str, ...], value: dict[str, Any]) -> str:
    return entry_edit.edited(text, path, value, YAML_FILE)


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
    assert entry_edit.entry(twice, PATH, JSON_FILE) == VALUE


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
    ["[1]", "{", '{"m": [1]}', '{"m": {"o": 1}}', "/* open\n{}", "nonsense"],
)
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        json_with(text, ("m", "o"), {})


COMMENTED = """\
// Settings of mine, "quoted" and { braced }
{
  "theme": "http://one", // dark, not light
  "m": {
    /* first, of mine */
    "a": {"command": "x",}, // trailing commas
  },
  "list": [1, 2, /* three */ 3,],
}
"""


@pytest.mark.parametrize("path", [("m", "o"), ("n", "o")])
def test_comments_and_trailing_commas_stay_where_they_are(
    path: tuple[str, str],
) -> None:
    after = json_with(COMMENTED, path, VALUE)
    changes = difflib.ndiff(COMMENTED.splitlines(), after.splitlines())
    assert not [line for line in changes if line.startswith("- ")]
    assert entry_edit.entry(after, path, JSON_FILE) == VALUE
    assert json_with(after, path, VALUE) == after


def test_comments_in_our_own_old_entry_go_with_it() -> None:
    old = '{"m": {\n  // ours\n  "o": {"a": 1 /* old */}}} // end'
    assert json_with(old, ("m", "o"), {"b": 2}) == (
        '{"m": {\n  // ours\n  "o": {\n      "b": 2\n    }}} // end'
    )


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
    assert entry_edit.entry(after, TABLE, TOML_FILE) == VALUE
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
    ],
)
def test_toml_of_any_style_gets_the_entry(text: str) -> None:
    after = toml_with(text, TABLE, VALUE)
    assert entry_edit.entry(after, TABLE, TOML_FILE) == VALUE


@pytest.mark.parametrize(
    "text", ["nonsense", "mcp_servers = 1", "mcp_servers = []\n[["]
)
def test_toml_that_holds_no_such_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"table|xpected|Invalid"):
        toml_with(text, TABLE, VALUE)


def test_a_comment_on_our_table_and_what_is_right_already_stay() -> None:
    old = '[mcp_servers.sandbox-ops] # mine\ncommand = "x" # why\nargs = []\n'
    after = toml_with(old, TABLE, VALUE)
    assert after.startswith('[mcp_servers.sandbox-ops] # mine\ncommand = "x" # why\n')


YAML = """\
# Goose, as I like it
GOOSE_PROVIDER: anthropic   # mine
extensions:
  developer:
    enabled: true
    args:
{lists}- "a"
{lists}- b
"""


@pytest.mark.parametrize("lists", ["    ", "      "])
def test_yaml_keeps_its_lines_and_its_layout(lists: str) -> None:
    before = YAML.format(lists=lists)
    after = yaml_with(before, ("extensions", "sandbox-ops"), VALUE)
    assert after.startswith(before)
    assert f"    args:\n{lists}- --a\n" in after


def test_yaml_whose_layout_would_change_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be edited safely"):
        yaml_with("a:    {b:   1}\n", ("extensions", "sandbox-ops"), VALUE)


@pytest.mark.parametrize("text", ["- a\n", "extensions: [1]\n", "a: [\n"])
def test_yaml_that_holds_no_such_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        yaml_with(text, ("extensions", "sandbox-ops"), VALUE)


@pytest.mark.parametrize("text", ["", "# only a comment\n"])
def test_an_empty_yaml_file_gets_the_entry_alone(text: str) -> None:
    after = yaml_with(text, ("extensions", "o"), {"cmd": "x"})
    assert after == f"{text}extensions:\n  o:\n    cmd: x\n"


def test_an_empty_file_becomes_the_table_alone() -> None:
    assert toml_with("", TABLE, {"a": [1, "x"]}) == (
        '[mcp_servers.sandbox-ops]\na = [1, "x"]\n'
    )
