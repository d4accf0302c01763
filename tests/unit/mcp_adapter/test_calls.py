"""Next steps of the library as the calls that an agent has."""

import pytest

from mcp_adapter import catalog, workflow_catalog
from mcp_adapter.calls import TOOL_CALLS, Calls
from sandbox_ops.errors import NextStep, RefusedError

TOOLS = {tool.tool_name: tool for tool in (*catalog.TOOLS, *workflow_catalog.TOOLS)}
ALL = Calls(tools=frozenset(TOOLS))
DEFAULT = Calls(tools=frozenset(tool.tool_name for tool in catalog.TOOLS))


@pytest.mark.parametrize(
    ("step", "call"),
    [
        (NextStep("setup"), "remote_setup()"),
        (NextStep("sync", {"push": True}), "remote_sync(push=true)"),
        (NextStep("sync", {"push": False}), "remote_sync()"),
        (NextStep("reset", {"dry_run": True}), "remote_reset()"),
        (NextStep("reset"), "remote_reset(confirm=true)"),
        (
            NextStep("stop", {"job": "remote-12"}),
            'remote_bash_stop(bash_id="remote-12")',
        ),
        (
            NextStep("logs", {"job": "remote-3", "follow": True}),
            'remote_bash_output(bash_id="remote-3")',
        ),
        (
            NextStep("train", {"force": ("busy-gpu", "unpushed")}),
            'remote_train(force=["busy-gpu", "unpushed"])',
        ),
        (NextStep("train", {"force": "stale"}), 'remote_train(force=["stale"])'),
        (
            NextStep("train", {"set_": {"steps": "VALUE"}}),
            'remote_train(settings={"steps": "VALUE"})',
        ),
        (NextStep("fetch", {"into": "FOLDER"}), 'remote_fetch(into="FOLDER")'),
        (NextStep("run", {"command": "df -h"}), 'remote_bash(command="df -h")'),
        (
            NextStep("monitor", {"sandbox": "gpu2"}),
            'remote_monitor(sandbox="gpu2")',
        ),
    ],
)
def test_a_step_is_the_call_that_does_the_same(step: NextStep, call: str) -> None:
    assert ALL.of(step) == call


@pytest.mark.parametrize(
    ("step", "command"),
    [
        (NextStep("sync", {"push": True}), "sandbox-ops sync --push"),
        (NextStep("doctor"), "sandbox-ops doctor"),
        (NextStep("logs", {"job": "a b", "raw": True}), "sandbox-ops logs 'a b' --raw"),
    ],
)
def test_a_step_without_a_call_is_a_command_for_a_local_shell(
    step: NextStep, command: str
) -> None:
    assert DEFAULT.of(step) == f"{command} (in a local shell)"


def test_a_step_names_the_machine_it_is_for() -> None:
    assert Calls("gpu2", ALL.tools).of(NextStep("sync")) == (
        'remote_sync(sandbox="gpu2")'
    )
    assert Calls("gpu2").of(NextStep("sync")) == (
        "sandbox-ops sync --sandbox gpu2 (in a local shell)"
    )


def test_the_hints_of_an_error_are_calls_in_their_places() -> None:
    error = RefusedError(
        "not pushed", NextStep("sync", {"push": True}, "Push it"), "Or commit."
    )
    assert ALL.error_text(error) == (
        "not pushed\nPush it: remote_sync(push=true)\nOr commit."
    )


def test_each_call_names_a_tool_and_arguments_that_there_are() -> None:
    for calls in TOOL_CALLS.values():
        for call in calls:
            tool = TOOLS[call.tool]
            known = set(tool.model_fields) | {""}
            assert {*call.options.values(), *call.fixed} <= known
