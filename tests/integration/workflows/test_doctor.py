"""doctor, against a real sshd: every check, with what fixes it."""

from collections.abc import Callable
from pathlib import Path

from gitproject import GitProject
from machines import fake_gpus, set_up
from sshd import SshServer

from sandbox_ops import Sandbox
from sandbox_ops.config.sources import Origin
from sandbox_ops.remote.script_replies import Reply
from sandbox_ops.workflows.doctor import DoctorReport, doctor
from sandbox_ops.workflows.doctor_checks import Check, clock, configuration, python

MakeSshd = Callable[..., SshServer]


def by_name(report: DoctorReport) -> dict[str, Check]:
    return {check.name: check for check in report.checks}


def test_a_good_machine_passes(make_sshd: MakeSshd, git_project: GitProject) -> None:
    server = make_sshd()
    fake_gpus(server.home, "0, H100, GPU-a, 0, 4, 81559, 30, 580.1")
    with Sandbox(server.config()) as sandbox:
        set_up(sandbox, git_project)
        report = doctor(sandbox, git_project.project())
    assert report.ok
    result = by_name(report)
    for name in ("connection", "login environment", "workspace", "git", "repository",
                 "clone", "gpu", "clock", "leftovers"):  # fmt: skip
        assert result[name].result == "ok", result[name]
    assert result["gpu"].detail == "0: H100"
    assert result["repository"].detail == f"main at {git_project.head[:10]}"
    assert report.as_json()["checks"][0]["name"] == "connection"


def test_every_fault_has_a_fix(
    make_sshd: MakeSshd, git_project: GitProject, tmp_path: Path
) -> None:
    server = make_sshd()
    fake_gpus(server.home)
    with Sandbox(server.config(workspace=f"{tmp_path}/none")) as sandbox:
        sandbox.run("setsid sleep 60 >/dev/null 2>&1 &")
        project = git_project.project(repo="file:///nowhere/x.git", name="x")
        report = doctor(sandbox, project)
    assert not report.ok
    result = by_name(report)
    assert result["workspace"].result == "warn"
    assert result["repository"].result == "fail"
    assert result["clone"].fix == "sandbox-ops setup"
    assert result["gpu"].result == "fail"
    assert result["leftovers"].fix.startswith("sandbox-ops stop cmd-")
    assert all(check.fix for check in report.checks if check.result != "ok")


def test_where_there_is_no_python_a_machine_may_be_good_all_the_same() -> None:
    bare = python(Reply(()))
    assert (bare.result, bare.detail) == ("warn", "neither uv nor python3, no uv")
    assert bare.fix.startswith("Install it: sandbox-ops run -- ")


def test_where_each_setting_is_from_is_said() -> None:
    variable = Origin("environment variable SSH_HOST")
    user, port = Origin("config.toml", 2), Origin("config.toml", 3)
    (check,) = configuration({"host": variable, "user": user, "port": port})
    assert check.detail == (
        "host from environment variable SSH_HOST;"
        " user (line 2), port (line 3) from config.toml"
    )


def test_a_key_that_is_not_there_is_shown_with_where_it_is_named(
    make_sshd: MakeSshd,
) -> None:
    origins = {"identity_file": Origin("environment variable SSH_KEY_PATH")}
    with Sandbox(make_sshd().config(identity_file="/no/such")) as sandbox:
        report = doctor(sandbox, None, origins)
    check = by_name(report)["connection"]
    assert (check.result, report.ok) == ("fail", False)
    assert check.detail == "no such identity file: /no/such"
    assert "SSH_KEY_PATH" in check.fix
    assert "sandbox-ops doctor" not in check.fix


def test_without_a_project_the_machine_alone_is_checked(sandbox: Sandbox) -> None:
    result = by_name(doctor(sandbox))
    assert "clone" not in result
    assert result["workspace"].result == "ok"


def test_a_machine_that_cannot_be_reached_is_a_report(make_sshd: MakeSshd) -> None:
    server = make_sshd()
    config = server.config()
    server.stop()
    with Sandbox(config) as sandbox:
        report = doctor(sandbox)
    assert [check.result for check in report.checks] == ["fail"]
    assert report.checks[0].fix


def test_a_clock_that_is_off_warns() -> None:
    assert clock(Reply((("now", "1000"),)), 1003.0).result == "ok"
    assert clock(Reply((("now", "260200"),)), 1000.0).result == "warn"
