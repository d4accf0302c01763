"""The documents say what the code does, as far as a machine can tell."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_adapter import catalog, workflow_catalog
from sandbox_ops import config, errors

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changes/README.md")]
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _blocks(language: str) -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for number, (kind, text) in enumerate(_FENCE.findall(page.read_text("utf-8"))):
            if kind == language:
                yield f"{_name(page)}:{number}", text


def _section(page: str, heading: str) -> str:
    """The text below a `## heading`, up to the next."""
    text = (ROOT / page).read_text("utf-8")
    parts = re.split(r"^## ", text, flags=re.MULTILINE)
    fields = [part for part in parts if part.split("\n")[0].strip("` ") == heading]
    assert fields, f"{page} has no heading for: {heading}"
    return fields[0]


def _anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\s-]", "", heading.strip().lower())
    return re.sub(r"\s", "-", kept)


def _anchors(page: Path) -> set[str]:
    prose = _FENCE.sub("", page.read_text("utf-8"))
    return {_anchor(line) for line in re.findall(r"^#+ (.*)$", prose, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in _LINK.findall(_FENCE.sub("", page.read_text("utf-8"))):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached = {ROOT / "README.md"}
    fresh = set(reached)
    while fresh:
        links = {
            (page.parent / link.partition("#")[0]).resolve()
            for page in fresh
            for link in _LINK.findall(page.read_text("utf-8"))
            if "://" not in link
        }
        fresh = {link for link in links if link.suffix == ".md"} - reached
        reached |= fresh
    assert {_name(page) for page in set(PAGES) - reached} == set()


def test_the_table_of_exit_codes_is_that_of_the_code() -> None:
    page = (ROOT / "docs/reference/exit-codes.md").read_text("utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| (\d+) \| `(\w+)` \|", page, re.MULTILINE)
    assert {(kind, int(code), name) for kind, code, name in rows} == {
        (error.kind, error.exit_code, error.__name__)
        for error in errors.BY_KIND.values()
    }


def _options(verb: str) -> set[str]:
    from sandbox_ops.tasks import ns

    names = (argument.name or "" for argument in ns.tasks[verb].get_arguments())
    return {f"--{name.strip('_').replace('_', '-')}" for name in names}


def _documented_options(verb: str) -> set[str]:
    """The options in the table of a verb's section."""
    section = _section("docs/reference/commands.md", verb)
    return set(re.findall(r"^\| `(--[\w-]+)", section, re.MULTILINE))


def test_the_reference_has_every_verb_with_all_its_options_and_no_other() -> None:
    from sandbox_ops.tasks import ns

    page = (ROOT / "docs/reference/commands.md").read_text("utf-8")
    verbs = re.findall(r"^## `([\w-]+)`$", page, re.MULTILINE)
    common = {"--json", "--sandbox"}
    assert sorted(verbs) == sorted(ns.tasks)
    assert {verb: _documented_options(verb) for verb in verbs} == {
        verb: _options(verb) - common for verb in verbs
    }


def test_the_reference_has_the_tools_of_the_server_with_their_arguments() -> None:
    page = "docs/reference/mcp-tools.md"
    values = {
        tool: re.findall(r"^\| `(\w+)` \|", _section(page, tool), re.MULTILINE)
        for tool in re.findall(
            r"^## (\w+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE
        )
    }
    assert values == {tool.tool_name: list(tool.model_fields) for tool in catalog.TOOLS}


def test_the_reference_has_every_option_of_the_server() -> None:
    from mcp_adapter.__main__ import _parser

    text = (ROOT / "docs/reference/mcp-tools.md").read_text("utf-8")
    match = set(re.findall(r"^\| `(--[\w-]+)", text, re.MULTILINE))
    known = set(re.findall(r"^  (--[\w-]+)", _parser().format_help(), re.MULTILINE))
    assert match == known


def test_the_reference_has_the_second_toolset() -> None:
    section = _section("docs/reference/mcp-tools.md", "The second toolset")
    rows = dict(re.findall(r"^\| `(remote_\w+)` \| (.*) \|$", section, re.MULTILINE))
    assert list(rows) == [tool.tool_name for tool in workflow_catalog.TOOLS]
    for tool in workflow_catalog.TOOLS:
        match = set(re.findall(r"`(\w+)`", rows[tool.tool_name]))
        assert match >= set(tool.model_fields) - {"bash_id"}


def test_every_setting_is_in_the_reference() -> None:
    page = (ROOT / "docs/reference/configuration.md").read_text("utf-8")
    row = re.compile(r"^\| `([\w.]+)` \| `(SANDBOX_OPS_\w+)` \| (.*) \|$", re.MULTILINE)
    assert [
        (path, variable, text.endswith("(yours)"))
        for path, variable, text in row.findall(page)
    ] == [(key.path, key.variable, key.user_only) for key in config.KEYS]
    names = set(re.findall(r"^\| `(SSH_\w+)` \|", page, re.MULTILINE))
    assert names == set(config.SSH_VARIABLES)


def _configurations() -> Iterator[tuple[str, str]]:
    for name, text in _blocks("toml"):
        if re.search(r"^\[(sandboxes|project)", text, re.MULTILINE):
            yield name, text


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text in _configurations()]
)
def test_every_configuration_example_is_one_that_we_read(text: str) -> None:
    layer = config.from_toml(config.Source(name="config.toml", text=text))
    assert layer.sandboxes or layer.project


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text in _blocks("toml")]
)
def test_every_toml_example_is_toml(text: str) -> None:
    assert tomllib.loads(text)


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text in _blocks("json")]
)
def test_every_json_example_is_json(text: str) -> None:
    assert json.loads(text)


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text in _blocks("python")]
)
def test_every_python_example_compiles(text: str) -> None:
    assert ast.parse(text).body


@pytest.mark.parametrize(
    "text", [pytest.param(text, id=name) for name, text in _blocks("sh")]
)
def test_every_shell_example_is_shell(text: str) -> None:
    checked = subprocess.run(
        ["sh", "-n"], input=text, capture_output=True, text=True, check=False
    )
    assert checked.stderr == ""


def test_a_json_timeout_outlives_the_longest_foreground_command() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    patience = [int(ms) for ms in re.findall(r"timeout\W+(\d{6,})", readme)]
    assert len(patience) > 1
    assert min(patience) >= 3_700_000
    assert "tool_timeout_sec = 3700" in readme


@pytest.mark.parametrize(
    "trouble",
    [
        "Tools not available: restart the host",
        "Connection failures",
        "Remote directory not found",
        "Pull conflicts",
        "Background job lost",
        "Zombie processes",
    ],
)
def test_each_trouble_of_the_guide_has_a_heading(trouble: str) -> None:
    assert len(_section("docs/how-to/troubleshooting.md", trouble)) > 200


def test_contributing_is_short() -> None:
    lines = (ROOT / "CONTRIBUTING.md").read_text("utf-8").splitlines()
    assert len(lines) <= 60


def test_every_row_of_the_comparison_names_a_test_that_exists() -> None:
    rows = [
        line
        for line in _section(
            "docs/reference/mcp-tools.md", "How it was measured"
        ).split("\n")
        if line.startswith("| ") and ".py`" in line
    ]
    surfaces = ROOT / "tests/surfaces"
    assert len(rows) > 25  # every measure by which servers of this kind were compared
    for row in rows:
        named = re.findall(r"`(test_\w+\.py)`", row)
        assert named, row
        assert all(any(surfaces.rglob(name)) for name in named), row
