"""Hints of the library as calls of an agent."""

import pytest

from mcp_adapter import workflows
from mcp_adapter.next_calls import translated
from sandbox_ops.errors import UsageError


@pytest.mark.parametrize(
    ("hint", "call"),
    [
        ("Put it there: sandbox-ops setup", "Put it there: remote_setup()"),
        ("or: sandbox-ops sync --push", "or: remote_sync(push=true)"),
        (
            "See it: sandbox-ops reset --dry-run. Undo it: sandbox-ops reset",
            "See it: remote_reset(). Undo it: remote_reset(confirm=true)",
        ),
        (
            "end it: sandbox-ops stop remote-12",
            'end it: remote_stop(bash_id="remote-12", confirm=true)',
        ),
        (
            "Look: sandbox-ops logs remote-3",
            'Look: remote_bash_output(bash_id="remote-3")',
        ),
        (
            "Start all the same: sandbox-ops train --force busy-gpu --force unpushed ...",
            'Start all the same: remote_train(force=["busy-gpu", "unpushed"]) ...',
        ),
        (
            "Give it: sandbox-ops train --set steps=VALUE",
            'Give it: remote_train(settings={"steps": "VALUE"})',
        ),
        (
            "Keep both: sandbox-ops fetch --into FOLDER",
            'Keep both: remote_fetch(into="FOLDER")',
        ),
        ("who it is: sandbox-ops monitor", "who it is: remote_monitor()"),
        (
            "Run it inside of the clone, or set `repo`.",
            (
                "Have the host start this server in the clone, or with --project CLONE,"
                " or set `repo`."
            ),
        ),
    ],
)
def test_a_command_becomes_the_call_that_does_the_same(hint: str, call: str) -> None:
    assert translated(hint) == call


@pytest.mark.parametrize(
    "hint",
    [
        "sandbox-ops train -- python train.py",
        "or replace them: sandbox-ops fetch --overwrite",
        "Look: sandbox-ops run -- git status",
        "sandbox-ops trust --sandbox gpu1 --fingerprint SHA256:x",
    ],
)
def test_what_has_no_call_stays_a_command(hint: str) -> None:
    assert translated(hint) == hint


def test_the_calls_are_for_the_same_sandbox() -> None:
    assert translated("sandbox-ops setup", "b") == 'remote_setup(sandbox="b")'


@pytest.mark.parametrize("folder", ["", "results"])
def test_where_there_is_no_clone_a_fetch_names_what_works(folder: str) -> None:
    with pytest.raises(UsageError, match="sandbox-ops fetch --into /ABSOLUTE/FOLDER"):
        workflows.inside(folder, None)
