"""A whole sandbox over a link that is a process here: no SSH, real shells and signals."""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_until

from sandbox_ops import EndKind, JobState, Sandbox, SandboxConfig
from sandbox_ops.errors import ConfigError, ConnectError, ProtocolError
from sandbox_ops.links import LinkEnd, LinkError
from sandbox_ops.links.process import ProcessLinks
from sandbox_ops.machine import jobs, transfer

Environment = dict[str, str]


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A home of its own on this computer."""
    home = tmp_path / "home"
    home.mkdir()
    return {"HOME": str(home), "PATH": os.environ["PATH"]}


def over(*arguments: str, env: Environment) -> Sandbox:
    """Return a sandbox over links that are such processes."""
    config = SandboxConfig(name="here", host="here")
    return Sandbox(config, ProcessLinks(arguments, "this computer", env))


@pytest.fixture
def local(environment: Environment) -> Iterator[Sandbox]:
    """A sandbox over plain `sh` on this computer."""
    with over("sh", "-c", env=environment) as sandbox:
        yield sandbox


def test_a_command_runs_over_a_local_shell(local: Sandbox) -> None:
    result = local.run("echo out; echo err >&2; exit 3", env={"X": "1"})
    assert (result.end, result.exit_code) == (EndKind.EXITED, 3)
    assert (result.stdout.text, result.stderr.text) == ("out\n", "err\n")


def test_a_job_is_started_found_read_and_stopped_over_a_local_shell(
    local: Sandbox,
) -> None:
    job = local.start("echo begun; sleep 7731", name="here")
    wait_until(lambda: jobs.output(local, "here", offset=0).data == b"begun\n")
    assert jobs.get(local, job.id).state is JobState.RUNNING
    report = jobs.stop(local, "here", grace_s=0)
    assert (report.job.state, report.left) == (JobState.STOPPED, ())


def test_a_long_command_is_followed_over_a_local_shell(local: Sandbox) -> None:
    pieces: list[bytes] = []
    result = local.run(
        "for i in 1 2 3; do echo $i; sleep 0.2; done",
        on_output=lambda _, piece: pieces.append(piece),
    )
    assert b"".join(pieces) == result.stdout.head == b"1\n2\n3\n"


def test_files_go_there_and_back_over_a_local_shell(
    local: Sandbox, tmp_path: Path
) -> None:
    source, there, back = (tmp_path / name for name in ("source", "there", "back"))
    source.write_bytes(os.urandom(3_000_000))
    sent = transfer.upload(local, source, str(there))
    transfer.download(local, str(there), back, size_bytes=sent.size_bytes)
    assert back.read_bytes() == source.read_bytes()


def carriers_of(environment: Environment) -> list[int]:
    """Return the pids of our own children that carry bytes to that home."""
    mark = f"HOME={environment['HOME']}".encode()
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            environ = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(parent) == os.getpid() and mark in environ:
            pids.append(int(folder.name))
    return pids


def test_a_command_goes_on_and_is_answered_after_its_link_was_killed(
    local: Sandbox, environment: Environment
) -> None:
    call = local.submit("sleep 1; echo once >>runs; cat runs")
    wait_until(lambda: call.job_id)
    for pid in carriers_of(environment):
        os.kill(pid, signal.SIGKILL)
    result = call.future.result(20)
    assert (result.end, result.stdout.text) == (EndKind.EXITED, "once\n")


@pytest.mark.slow
def test_a_link_that_stays_away_is_a_lost_connection_that_names_the_job(
    environment: Environment, tmp_path: Path
) -> None:
    carrier = tmp_path / "carrier"
    carrier.write_text('#!/bin/sh\nexec sh -c "$1"\n')
    carrier.chmod(0o700)
    with over(str(carrier), env=environment) as sandbox:
        call = sandbox.submit("sleep 7741")
        wait_until(lambda: call.job_id)
        carrier.write_text("#!/bin/sh\necho 'no such container' >&2\nexit 255\n")
        lost_at = time.monotonic()
        for pid in carriers_of(environment):
            os.kill(pid, signal.SIGKILL)
        result = call.future.result(30)
        assert time.monotonic() - lost_at < 20
        assert (result.end, result.job.id) == (EndKind.CONNECTION_LOST, call.job_id)
        assert result.job.state is JobState.UNKNOWN
        carrier.write_text('#!/bin/sh\nexec sh -c "$1"\n')
        assert jobs.stop(sandbox, str(call.job_id), grace_s=0).left == ()


def test_closing_leaves_no_process_here_and_lets_jobs_run_on(
    environment: Environment,
) -> None:
    with over("sh", "-c", env=environment) as sandbox:
        job = sandbox.start("sleep 7751")
        assert carriers_of(environment)
    assert carriers_of(environment) == []
    with over("sh", "-c", env=environment) as sandbox:
        assert jobs.get(sandbox, job.id).state is JobState.RUNNING
        jobs.stop(sandbox, job.id, grace_s=0)


def test_what_the_carrier_says_is_the_reason_that_it_cannot_connect(
    environment: Environment,
) -> None:
    command = ("sh", "-c", 'echo "ssh: Could not resolve hostname x" >&2; exit 255')
    started = time.monotonic()
    with (
        over(*command, env=environment) as sandbox,
        pytest.raises(ConnectError, match="this computer: ssh: Could not resolve"),
    ):
        sandbox.run("true")
    assert time.monotonic() - started < 5


def test_a_carrier_that_refuses_is_reported_with_its_words(
    environment: Environment,
) -> None:
    command = ("sh", "-c", 'echo "Error: No such container: x" >&2; exit 1')
    with (
        over(*command, env=environment) as sandbox,
        pytest.raises(ProtocolError, match="No such container: x"),
    ):
        sandbox.run("true")


def test_a_carrier_that_is_not_installed_is_named(environment: Environment) -> None:
    with (
        over("no-such-carrier-7761", env=environment) as sandbox,
        pytest.raises(ConnectError, match="no-such-carrier-7761 is not installed"),
    ):
        sandbox.run("true")


def test_fabric_is_offered_only_where_there_is_ssh(local: Sandbox) -> None:
    with pytest.raises(ConfigError, match="this computer is not reached by SSH"):
        _ = local.connection


def test_a_link_tells_a_command_that_ended_from_one_that_was_killed() -> None:
    links = ProcessLinks(["sh", "-c"], "here")
    for command, end in {
        "exit 0": LinkEnd.FINISHED,
        "exit 3": LinkEnd.FINISHED,
        "kill -9 $$": LinkEnd.DIED,
        "exit 255": LinkEnd.DIED,
    }.items():
        link = links.open_link(command)
        assert link.receive(10) == b""
        assert link.end() is end
        assert not link.is_open
        link.close()


def test_a_silent_link_times_out_and_a_closed_one_is_an_error() -> None:
    link = ProcessLinks(["sh", "-c"], "here").open_link("echo said >&2; cat")
    with pytest.raises(TimeoutError):
        link.receive(0.05)
    link.send(b"x" * 100_000)
    received = b""
    while len(received) < 100_000:
        received += link.receive(10)
    wait_until(lambda: link.complaint() == "said")
    link.end_input()
    assert link.receive(10) == b""
    link.close()
    with pytest.raises(LinkError):
        link.send(b"x")
    with pytest.raises(LinkError):
        link.receive(1)


def lying(environment: Environment, name: str) -> Path:
    """Put a program first in PATH that says nonsense while a file of that name is there."""
    folder = Path(environment["HOME"]) / "lying"
    folder.mkdir(exist_ok=True)
    program, switch = folder / name, folder / f"{name}.lies"
    program.write_text(
        f"#!/bin/sh\n[ ! -e {switch} ] || {{ echo 1x 1x; exit; }}\n"
        f'exec {shutil.which(name)} "$@"\n'
    )
    program.chmod(0o755)
    profile = Path(environment["HOME"]) / ".profile"
    profile.write_text(f'PATH="{folder}:$PATH"\n')
    return switch


def test_a_worker_that_an_error_ends_is_reported_at_once_with_the_shells_own_words(
    environment: Environment,
) -> None:
    """As where a program of the machine says what no shell can reckon with."""
    lying(environment, "date").touch()
    started = time.monotonic()
    with (
        over("sh", "-c", env=environment) as sandbox,
        pytest.raises(
            ProtocolError, match=r"failed with an error at `start`, twice: .*1x"
        ),
    ):
        sandbox.run("true")
    assert time.monotonic() - started < 5


def test_an_error_in_a_later_request_is_reported_with_its_reason(
    environment: Environment,
) -> None:
    switch = lying(environment, "stat")
    with over("sh", "-c", env=environment) as sandbox:
        job = sandbox.start("echo works")
        assert jobs.wait(sandbox, job.id, timeout_s=20).exit_code == 0
        switch.touch()
        with pytest.raises(ProtocolError, match=r"at `poll`, twice: .*1x"):
            jobs.output(sandbox, job.id, offset=-4)
        switch.unlink()
        assert jobs.output(sandbox, job.id, offset=-4).data == b"rks\n"
