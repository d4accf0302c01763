import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcp_adapter import catalog, workflow_catalog
from mcp_adapter.tool_arguments import ToolArguments
from sandbox_ops.errors import UsageError


def test_what_is_absent_is_the_default_and_null_is_absent() -> None:
    assert catalog.RemoteBash.read({"command": "x", "timeout": None}).model_dump() == {
        "command": "x",
        "description": "",
        "timeout": None,
        "run_in_background": False,
        "cwd": "",
    }


@pytest.mark.parametrize("sent", [500, "500", " 500 ", 500.0, "500.0"])
def test_a_number_may_come_as_text(sent: object) -> None:
    values = dict(catalog.RemoteBash.read({"command": "x", "timeout": sent}))
    assert values["timeout"] == 500


@pytest.mark.parametrize("sent", [True, "true", "True", 1])
def test_a_truth_may_come_as_text(sent: object) -> None:
    values = dict(catalog.RemoteBash.read({"command": "x", "run_in_background": sent}))
    assert values["run_in_background"] is True


def test_zero_and_absence_are_distinguished() -> None:
    read, file = catalog.RemoteFileRead.read, {"file_path": "/x"}
    assert dict(read(file))["offset"] is None
    assert dict(read(file | {"offset": "0"}))["offset"] == 0


@pytest.mark.parametrize(
    ("tool", "sent", "message"),
    [
        (
            catalog.RemoteBash,
            {"cmd": "x"},
            (
                "remote_bash has no argument `cmd`\nDid you mean `command`?\nIt takes"
                " command, description, timeout, run_in_background, cwd."
            ),
        ),
        (
            catalog.RemoteBash,
            {"command": "x", "time_out": 1},
            (
                "remote_bash has no argument `time_out`\nDid you mean `timeout`?\nIt takes"
                " command, description, timeout, run_in_background, cwd."
            ),
        ),
        (
            catalog.RemoteFileRead,
            {"zzz": "x"},
            (
                "remote_file_read has no argument `zzz`\n"
                "It takes file_path, offset, limit."
            ),
        ),
        (catalog.RemoteBash, {}, "remote_bash needs the argument `command`"),
        (
            catalog.RemoteBash,
            {"command": ["ls"]},
            "`command` must be text without NUL, not ['ls']",
        ),
        (
            catalog.RemoteBash,
            {"command": "a\0b"},
            "`command` must be text without NUL, not 'a\\x00b'",
        ),
        (
            catalog.RemoteBash,
            {"command": "x", "timeout": "soon"},
            "`timeout` must be a whole number, not 'soon'",
        ),
        (
            catalog.RemoteBash,
            {"command": "x", "timeout": True},
            "`timeout` must be a whole number, not True",
        ),
        (
            catalog.RemoteBash,
            {"command": "x", "timeout": 1e300},
            "`timeout` must be a whole number, not 1e+300",
        ),
        (
            catalog.RemoteBash.with_sandboxes(("a", "b")),
            {"command": "x", "sandbox": "c"},
            "`sandbox` must be one of a, b, not 'c'",
        ),
    ],
)
def test_a_wrong_argument_is_named_with_what_is_right(
    tool: type[ToolArguments], sent: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        tool.read(sent)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("tool", "name", "value", "advice"),
    [
        ("Bash", "timeout_s", 60, "in milliseconds: timeout=60000."),
        ("Bash", "timeout_seconds", "soon", "`timeout`? It is in milliseconds."),
        ("Bash", "workdir", "/x", "Did you mean `cwd`?"),
        ("Bash", "env", {"A": "1"}, "export NAME=VALUE; ..."),
        ("Bash", "wait", True, "unless `run_in_background` is true."),
        ("BashOutput", "follow", True, "Did you mean `wait`?"),
        ("BashOutput", "kill", True, "To end a job: sandbox-ops stop JOB"),
        ("BashOutput", "tail", 5, "Without `since` it gives the end of the output"),
        ("BashOutput", "job_id", "x", "Did you mean `bash_id`?"),
        ("FileRead", "tail", 5, "`limit` alone gives the last lines."),
    ],
)
def test_an_argument_of_other_tools_is_answered_with_what_does_it_here(
    tool: str, name: str, value: object, advice: str
) -> None:
    spec: type[ToolArguments] = getattr(catalog, f"Remote{tool}")
    with pytest.raises(UsageError) as caught:
        spec.read({name: value})
    assert advice in caught.value.hint
    assert caught.value.hint.endswith(f"It takes {', '.join(spec.model_fields)}.")


@pytest.mark.parametrize(("sent", "job"), [(1, "1"), (" remote-1 ", "remote-1")])
def test_a_job_may_be_a_number(sent: object, job: str) -> None:
    read = catalog.RemoteBashOutput.read({"bash_id": sent})
    assert dict(read)["bash_id"] == job


@pytest.mark.parametrize("sent", [True, 1.5, [1], "a\0b"])
def test_an_argument_that_names_no_job_is_answered_with_what_a_job_is(
    sent: object,
) -> None:
    with pytest.raises(UsageError, match="`bash_id` must be a job: its id, its number"):
        catalog.RemoteBashOutput.read({"bash_id": sent})


def test_json_nested_deep_inside_of_a_text_is_refused() -> None:
    with pytest.raises(UsageError, match="`settings` must be an object such as"):
        workflow_catalog.RemoteTrain.read({"settings": "{" * 20_000})


@given(st.dictionaries(st.text(), st.one_of(st.text(), st.floats(), st.booleans())))
def test_any_arguments_are_read_or_refused(sent: dict[str, object]) -> None:
    for tool in (*catalog.TOOLS, *workflow_catalog.TOOLS):
        known = dict(zip(tool.model_fields, sent.values(), strict=False))
        for arguments_sent in (sent, known):
            try:
                given_values = tool.read(arguments_sent)
            except UsageError:
                continue
            assert set(dict(given_values)) == set(tool.model_fields)


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
    assert dict(workflow_catalog.RemoteTrain.read({"force": sent}))["force"] == value


@pytest.mark.parametrize("sent", [["nonsense"], [1], {"a": 1}, "nonsense"])
def test_a_list_of_something_else_is_refused(sent: object) -> None:
    with pytest.raises(UsageError, match="`force` must be"):
        workflow_catalog.RemoteTrain.read({"force": sent})


@pytest.mark.parametrize(
    "sent",
    [{"steps": 5, "lr": "1e-3", "amp": True}, '{"steps":5,"lr":"1e-3","amp":true}'],
)
def test_settings_are_texts_by_name(sent: object) -> None:
    values = dict(workflow_catalog.RemoteTrain.read({"settings": sent}))["settings"]
    assert values == {"steps": ("5",), "lr": ("1e-3",), "amp": ("true",)}


def test_a_setting_may_have_several_values() -> None:
    sent = {"lr": ["1e-3", 0.01], "seed": "[1, 2]"}
    given = dict(workflow_catalog.RemoteTrain.read({"settings": sent}))["settings"]
    assert given == {"lr": ("1e-3", "0.01"), "seed": ("1", "2")}


@pytest.mark.parametrize(
    "sent", [["steps=5"], "steps=5", {"steps": [[5]]}, {"steps": []}, 5]
)
def test_settings_of_another_form_are_refused(sent: object) -> None:
    with pytest.raises(UsageError, match="`settings` must be an object such as"):
        workflow_catalog.RemoteTrain.read({"settings": sent})
