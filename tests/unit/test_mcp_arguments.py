import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_adapter import arguments, catalog, workflow_catalog
from sandbox_ops.errors import UsageError


def test_what_is_absent_is_the_default_and_null_is_absent() -> None:
    assert arguments.read(catalog.REMOTE_BASH, {"command": "x", "timeout": None}) == {
        "command": "x",
        "description": "",
        "timeout": None,
        "run_in_background": False,
    }


@pytest.mark.parametrize("sent", [500, "500", " 500 ", 500.0, "500.0"])
def test_a_number_may_come_as_text(sent: object) -> None:
    given = arguments.read(catalog.REMOTE_BASH, {"command": "x", "timeout": sent})
    assert given["timeout"] == 500


@pytest.mark.parametrize("sent", [True, "true", "True", 1])
def test_a_truth_may_come_as_text(sent: object) -> None:
    given = arguments.read(
        catalog.REMOTE_BASH, {"command": "x", "run_in_background": sent}
    )
    assert given["run_in_background"] is True


def test_zero_and_absence_are_told_apart() -> None:
    read = arguments.read
    file = {"file_path": "/x"}
    assert read(catalog.REMOTE_FILE_READ, file)["offset"] is None
    assert read(catalog.REMOTE_FILE_READ, file | {"offset": "0"})["offset"] == 0


@pytest.mark.parametrize(
    ("tool", "sent", "message"),
    [
        (
            catalog.REMOTE_BASH,
            {"cmd": "x"},
            (
                "remote_bash has no argument `cmd`\nDid you mean `command`? It takes"
                " command, description, timeout, run_in_background."
            ),
        ),
        (
            catalog.REMOTE_BASH,
            {"command": "x", "time_out": 1},
            (
                "remote_bash has no argument `time_out`\nDid you mean `timeout`? It takes"
                " command, description, timeout, run_in_background."
            ),
        ),
        (
            catalog.REMOTE_FILE_READ,
            {"zzz": "x"},
            (
                "remote_file_read has no argument `zzz`\n"
                "It takes file_path, offset, limit."
            ),
        ),
        (catalog.REMOTE_BASH, {}, "remote_bash needs the argument `command`"),
        (catalog.REMOTE_BASH, None, "remote_bash needs the argument `command`"),
        (
            catalog.REMOTE_BASH,
            {"command": ["ls"]},
            "`command` must be text without NUL, not ['ls']",
        ),
        (
            catalog.REMOTE_BASH,
            {"command": "a\0b"},
            "`command` must be text without NUL, not 'a\\x00b'",
        ),
        (
            catalog.REMOTE_BASH,
            {"command": "x", "timeout": "soon"},
            "`timeout` must be a whole number, not 'soon'",
        ),
        (
            catalog.REMOTE_BASH,
            {"command": "x", "timeout": True},
            "`timeout` must be a whole number, not True",
        ),
        (
            catalog.REMOTE_BASH,
            {"command": "x", "timeout": 1e300},
            "`timeout` must be a whole number, not 1e+300",
        ),
        (
            catalog.with_sandboxes(catalog.REMOTE_BASH, ("a", "b")),
            {"command": "x", "sandbox": "c"},
            "`sandbox` must be one of a, b, not 'c'",
        ),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_right(
    tool: catalog.ToolSpec, sent: dict[str, object] | None, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        arguments.read(tool, sent)
    assert str(caught.value) == message


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.floats(), st.booleans())))
def test_any_arguments_are_read_or_refused(sent: dict[str, object]) -> None:
    for tool in catalog.TOOLS:
        known = {a.name: sent[k] for a, k in zip(tool.arguments, sent, strict=False)}
        for arguments_sent in (sent, known):
            try:
                given_values = arguments.read(tool, arguments_sent)
            except UsageError:
                continue
            assert set(given_values) == {a.name for a in tool.arguments}


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (["busy-gpu", "unpushed"], ("busy-gpu", "unpushed")),
        ("busy-gpu", ("busy-gpu",)),
        ('["busy-gpu"]', ("busy-gpu",)),
        ([], ()),
    ],
)
def test_a_list_may_be_one_text_or_json_in_a_text(
    sent: object, value: tuple[str, ...]
) -> None:
    assert arguments.read(workflow_catalog.TRAIN, {"force": sent})["force"] == value


@pytest.mark.parametrize("sent", [["nonsense"], [1], {"a": 1}, "nonsense"])
def test_a_list_of_something_else_is_refused(sent: object) -> None:
    with pytest.raises(UsageError, match="`force` must be"):
        arguments.read(workflow_catalog.TRAIN, {"force": sent})


@pytest.mark.parametrize(
    "sent",
    [{"steps": 5, "lr": "1e-3", "amp": True}, '{"steps":5,"lr":"1e-3","amp":true}'],
)
def test_settings_are_texts_by_name(sent: object) -> None:
    given = arguments.read(workflow_catalog.TRAIN, {"settings": sent})["settings"]
    assert given == {"steps": "5", "lr": "1e-3", "amp": "true"}


@pytest.mark.parametrize("sent", [["steps=5"], "steps=5", {"steps": [5]}, 5])
def test_settings_of_another_form_are_refused(sent: object) -> None:
    with pytest.raises(UsageError, match="`settings` must be an object such as"):
        arguments.read(workflow_catalog.TRAIN, {"settings": sent})
