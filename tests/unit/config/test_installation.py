"""Which environment this program runs from, and what is written down of it."""

from pathlib import Path

import pytest

from sandbox_ops.config.installation import Installation, describe

HOME = Path("/home/me")


@pytest.mark.parametrize(
    ("prefix", "runner", "tool"),
    [
        (".cache/uv/archive-v0/Zq3bXw", "uvx", ""),
        (".cache/uv/environments-v2/x-9f", "uvx", ""),
        (".local/share/uv/tools/sandbox-ops", "", "uv"),
        (".local/pipx/.cache/0a1b2c", "pipx", ""),
        (".cache/pipx/0a1b2c", "pipx", ""),
        (".local/share/pipx/venvs/sandbox-ops", "", "pipx"),
        ("code/project/.venv", "", ""),
        (".cache/venv", "", ""),
    ],
)
def test_an_environment_that_is_thrown_away_is_known_by_its_place(
    prefix: str, runner: str, tool: str
) -> None:
    result = describe(HOME / prefix)
    assert (result.runner, result.tool) == (runner, tool)


@pytest.mark.parametrize(
    ("installation", "command"),
    [
        (
            Installation(prefix=HOME, runner="uvx"),
            "uvx --from 'sandbox-ops[demo]' sandbox-ops",
        ),
        (
            Installation(prefix=HOME, runner="pipx"),
            "pipx run --spec 'sandbox-ops[demo]' sandbox-ops",
        ),
        (Installation(prefix=HOME, tool="pipx"), "pipx inject sandbox-ops asyncssh"),
        (
            Installation(prefix=HOME, tool="uv"),
            "uv tool install 'sandbox-ops[demo]'",
        ),
        (
            Installation(prefix=HOME, tool="uv", source="git+https://h/x@1a2b"),
            "uv tool install 'sandbox-ops[demo] @ git+https://h/x@1a2b'",
        ),
    ],
)
def test_there_is_one_command_that_adds_an_extra(
    installation: Installation, command: str
) -> None:
    assert installation.add("demo", ("asyncssh",)) == command


def test_an_ordinary_environment_gets_the_extra_from_its_own_pip() -> None:
    command = Installation(prefix=HOME).add("demo", ("asyncssh",))
    assert command.endswith(" -m pip install 'sandbox-ops[demo]'")


def test_what_is_thrown_away_is_run_again_through_what_made_it() -> None:
    uvx = Installation(prefix=HOME, runner="uvx", source="/wheels/x.whl")
    assert uvx.run_again("sandbox-ops-mcp") == (
        "uvx",
        "--from",
        "/wheels/x.whl",
        "sandbox-ops-mcp",
    )
