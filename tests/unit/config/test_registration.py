"""The MCP registration of our own server, as a source of the SSH_ variables."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops import config
from sandbox_ops.config import Source
from sandbox_ops.errors import ConfigError
from sandbox_ops.models import SandboxConfig

OURS = {"command": "sandbox-ops-mcp", "args": []}


def _source(text: str) -> Source:
    return Source(name=".mcp.json", project="/project", text=text)


def _sandbox(text: str, environ: Mapping[str, str] | None = None) -> SandboxConfig:
    environ = environ or {}
    layers = config.from_registration(_source(text), environ)
    variables = config.from_environment(environ, ssh_names=True)
    return config.combine(
        (),
        (*layers, *variables[:-1]),
        variables[-1:],
        source="the environment",
        searched="none was found",
    ).sandbox()


def _entry(
    env: Mapping[str, object], start: Mapping[str, object] | None = None
) -> dict[str, object]:
    return {**(start or OURS), "env": dict(env)}


def _text(**entries: Mapping[str, object]) -> str:
    return json.dumps({"mcpServers": entries})


def _refused(text: str, environ: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as refused:
        _sandbox(text, environ)
    return str(refused.value)


def _refusal(text: str) -> str:
    try:
        config.from_registration(_source(text), {})
    except ConfigError as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    "start",
    [
        {"command": "sandbox-ops-mcp"},
        {"command": "/venv/bin/sandbox-ops-mcp", "args": []},
        {"command": "python", "args": ["-m", "mcp_adapter"]},
        {"command": "uv", "args": ["run", "--with", "x", "sandbox-ops-mcp"]},
        {"command": "sh", "args": ["-c", "cd /x && exec python -m mcp_adapter"]},
    ],
)
def test_the_entry_that_starts_our_server_names_the_machine(
    start: dict[str, object],
) -> None:
    env = {"SSH_HOST": "me@gpu1", "SSH_PORT": 2222, "X": "y"}
    text = _text(
        other=_entry({"SSH_HOST": "no"}, {"command": "x"}), a=_entry(env, start)
    )
    assert _sandbox(text) == SandboxConfig(
        name="default", host="gpu1", user="me", port=2222
    )


def test_our_own_names_are_read_too() -> None:
    env = {"SSH_HOST": "gpu1", "SANDBOX_OPS_WORKSPACE": "/w"}
    assert _sandbox(_text(a=_entry(env))).workspace == "/w"


def test_the_environment_wins_name_by_name() -> None:
    text = _text(a=_entry({"SSH_HOST": "me@gpu1:1", "SSH_PORT": "2"}))
    result = _sandbox(text, {"SSH_HOST": "you@gpu2:3"})
    assert (result.host, result.user, result.port) == ("gpu2", "you", 3)


def test_home_and_user_expand_and_nothing_else_of_the_environment() -> None:
    env = {"SSH_HOST": "${USER}@gpu1", "SANDBOX_OPS_WORKSPACE": "${HOME:-/w}/work"}
    sandbox = _sandbox(_text(a=_entry(env)), {"USER": "me"})
    assert (sandbox.user, sandbox.host, sandbox.workspace) == ("me", "gpu1", "/w/work")


def test_a_reference_to_the_variable_itself_gives_its_default() -> None:
    assert _sandbox(_text(a=_entry({"SSH_HOST": "${SSH_HOST:-gpu1}"}))).host == "gpu1"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SSH_HOST", "${GH_PAT}.example.org"),
        ("SSH_HOST", "${BOX:-gpu1}"),
        ("SANDBOX_OPS_USER", "${GITHUB_TOKEN}"),
        ("SANDBOX_OPS_REPO", "https://example.org/${GH_PAT}"),
        ("SANDBOX_OPS_WORKSPACE", "/${GH_PAT}"),
    ],
)
def test_a_project_cannot_send_a_variable_out(variable: str, value: str) -> None:
    environ = {"GH_PAT": "ghp_x", "GITHUB_TOKEN": "ghp_y", "BOX": "secret"}
    text = _text(a=_entry({"SSH_HOST": "gpu1", variable: value}))
    message = _refused(text, environ)
    assert message.startswith(f".mcp.json: `mcpServers.a.env.{variable}` asks for ${{")
    assert message.endswith(
        ": a project's file is given no variables but HOME and USER\n"
        f"Set the value yourself: export {variable}=..."
    )
    assert "ghp_" not in message


def test_a_project_names_no_key() -> None:
    text = _text(a=_entry({"SSH_HOST": "gpu1", "SSH_KEY_PATH": "~/.ssh/id"}))
    assert _refused(text) == (
        ".mcp.json: `mcpServers.a.env.SSH_KEY_PATH` is not for a project to say: it "
        "touches this computer\nMove it to your own ~/.config/sandbox-ops/config.toml, "
        "below [sandboxes.NAME], or set it in the environment: SANDBOX_OPS_IDENTITY_FILE"
    )
    assert _sandbox(text, {"SSH_KEY_PATH": "/k"}).identity_file == "/k"


def test_a_wrong_value_is_reported_with_its_place() -> None:
    assert _refused(_text(a=_entry({"SSH_HOST": "x", "SSH_PORT": "no"}))) == (
        '.mcp.json: `mcpServers.a.env.SSH_PORT` is "no": expected a number from 1 to '
        "65535\nSet it to something else, or unset it."
    )


def test_entries_for_different_machines_need_a_choice() -> None:
    text = _text(a=_entry({"SSH_HOST": "x"}), b=_entry({"SSH_HOST": "y"}))
    assert _refused(text) == (
        ".mcp.json: 2 entries start our server, for different machines: a, b\n"
        "Say which one is meant: export SSH_HOST=..., or describe them all in a "
        "sandbox.toml."
    )
    assert _sandbox(text, {"SSH_HOST": "y"}).host == "y"


def test_entries_for_the_same_machine_are_one() -> None:
    text = _text(
        a=_entry({"SSH_HOST": "x", "LOG": "1"}), b=_entry({"SSH_HOST": "x", "LOG": "2"})
    )
    assert _sandbox(text).host == "x"


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        '{"mcpServers": []}',
        '{"mcpServers": {"a": 3}}',
        '{"mcpServers": {"a": {"command": "sandbox-ops-mcp"}}}',
        '{"mcpServers": {"a": {"command": "sandbox-ops-mcp", "env": {"X": "y"}}}}',
    ],
)
def test_a_file_that_says_nothing_of_us_counts_for_nothing(text: str) -> None:
    assert config.from_registration(_source(text), {}) == ()


def test_what_is_not_json_is_reported() -> None:
    assert _refused("{,}").startswith(".mcp.json: not JSON: ")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["mcpServers", "command", "args", "env", "SSH_HOST", "a"]),
            inner,
            max_size=3,
        )
    ),
)


@given(_JSON, _JSON)
def test_any_json_is_read_or_refused(anything: object, env: object) -> None:
    entry = {"command": "sandbox-ops-mcp", "env": env}
    texts = (
        json.dumps(anything),
        json.dumps({"mcpServers": {"x": anything, "a": entry}}),
    )
    for refusal in map(_refusal, texts):
        assert not refusal or refusal.startswith(".mcp.json: ")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    refusal = _refusal(text)
    assert not refusal or refusal.startswith(".mcp.json: not JSON: ")
