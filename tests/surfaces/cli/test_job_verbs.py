"""run, jobs, logs and stop as a process, against a real machine."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import records
from command_line import PROGRAM, cli
from each_link import ThisComputer
from machines import fake_gpus
from sshd import SshServer, own_config
from waiting import wait_until

from sandbox_ops import Job, Sandbox
from sandbox_ops.machine import jobs

JOB_KEYS = {
    "id", "name", "state", "exit_code", "signal", "signal_certain", "command",
    "description", "started_at", "elapsed_s", "log_path", "started_by",
}  # fmt: skip


@pytest.fixture
def place(machine: ThisComputer, tmp_path: Path) -> Path:
    """A folder whose sandbox.toml knows the machine."""
    machine.write_toml(tmp_path)
    return tmp_path


def answer_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stdout.count("\n") == 1, done
    output = json.loads(done.stdout)
    assert isinstance(output, dict)
    return output


def finished(sandbox: Sandbox, command: str) -> Job:
    return jobs.wait(sandbox, sandbox.start(command).id, timeout_s=20)


def begin(arguments: Sequence[str], place: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [PROGRAM, *arguments],
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def test_run_keeps_stdout_and_stderr_apart_and_ends_with_the_commands_code(
    place: Path,
) -> None:
    done = cli("run", "--", "sh", "-c", "echo 'a  b'; echo oops >&2; exit 3", cwd=place)
    assert (done.returncode, done.stdout, done.stderr) == (3, "a  b\n", "oops\n")


def test_run_as_json_is_one_object_with_the_job_and_both_streams(place: Path) -> None:
    done = cli("run", "--json", "--", "sh", "-c", "echo out; echo err >&2", cwd=place)
    result = answer_of(done)
    assert set(result) == {"job", "end", "tree_dead", "left", "stdout", "stderr"}
    assert (result["end"], result["tree_dead"], result["left"]) == ("exited", True, [])
    assert set(result["job"]) >= JOB_KEYS
    assert (result["stdout"], result["stderr"]) == ("out\n", "err\n")
    assert (result["job"]["state"], result["job"]["exit_code"]) == ("succeeded", 0)
    assert done.stderr == ""


def test_run_takes_a_shell_line_as_an_option(place: Path) -> None:
    done = cli("run", "--command", "echo one two | wc -w", cwd=place)
    assert done.stdout.strip() == "2"


def test_run_passes_bytes_through_as_they_are(place: Path) -> None:
    with begin(("run", "--", "printf", r"\x1b[31m\xff\x00\r\n"), place) as process:
        assert process.stdout
        assert process.stdout.read() == b"\x1b[31m\xff\x00\r\n"


def test_run_uses_the_named_folder(place: Path) -> None:
    done = cli("run", "--cwd", "/usr", "--", "pwd", cwd=place)
    assert done.stdout == "/usr\n"


def test_run_where_nothing_is_answers_not_found(place: Path) -> None:
    done = cli("run", "--json", "--cwd", "/no/such", "--", "pwd", cwd=place)
    assert done.returncode == 66
    assert answer_of(done)["error"]["kind"] == "not-found"


def test_a_signal_is_named_and_ends_with_128_and_its_number(place: Path) -> None:
    done = cli("run", "--command", "kill -KILL $$", cwd=place)
    assert done.returncode == 137
    assert "signal KILL" in done.stderr


def test_a_shell_line_given_as_one_word_is_not_found_and_the_right_way_is_shown(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    make_sshd().write_toml(tmp_path)
    done = cli("run", "--", "echo a | wc", cwd=tmp_path)
    assert done.returncode == 127
    assert done.stderr.endswith(
        "hint: that was one word; for a shell line: run --command 'echo a | wc'\n"
    )


def test_a_deadline_ends_the_command_with_124(place: Path) -> None:
    done = cli("run", "--timeout", "1s", "--", "sleep", "60", cwd=place)
    assert done.returncode == 124
    assert "timed out; no process of it can be found any more" in done.stderr
    done = cli("run", "--json", "--timeout", "1s", "--", "sleep", "60", cwd=place)
    result = answer_of(done)
    assert (result["end"], result["tree_dead"], result["left"]) == (
        "timed-out",
        True,
        [],
    )


def test_ctrl_c_in_run_stops_the_command_there(
    place: Path, shared_sandbox: Sandbox
) -> None:
    with begin(("run", "--", "sh", "-c", "echo $$; sleep 77"), place) as process:
        assert process.stdout
        assert process.stdout.readline().strip().isdigit()
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=30)
    assert process.returncode == 130
    assert output.startswith(b"stopping it;")
    job = next(
        j
        for j in jobs.recent(shared_sandbox, include_commands=True)
        if "sleep 77" in j.command
    )
    assert job.state == "stopped"


def test_ctrl_c_in_run_as_json_is_still_one_object(place: Path) -> None:
    with begin(("run", "--json", "--", "sleep", "78"), place) as process:
        wait_until(
            lambda: "sleep 78" in cli("jobs", "--limit", "3", cwd=place).stdout,
            timeout_s=20,
        )
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(output)["job"]["state"] == "stopped"


def test_run_ends_when_nobody_reads_it(place: Path, shared_sandbox: Sandbox) -> None:
    with begin(("run", "--command", "yes we can"), place) as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"we can\n"
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""
    job = next(
        j
        for j in jobs.recent(shared_sandbox, include_commands=True)
        if j.command == "yes we can"
    )
    assert job.state == "stopped"


def test_jobs_shows_the_newest_first_in_columns(
    place: Path, shared_sandbox: Sandbox
) -> None:
    first = finished(shared_sandbox, "echo the first of two")
    second = finished(shared_sandbox, "exit 3")
    refused = cli("jobs", "--limit", "-1", cwd=place)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--limit takes how many jobs, not -1" in refused.stderr
    done = cli("jobs", "--limit", "2", cwd=place)
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["JOB", "NAME", "STATE", "TIME", "COMMAND"]
    assert rows[0].startswith(f"{second.id} ")
    assert "failed (3)" in rows[0]
    assert rows[1].startswith(f"{first.id} ")
    assert rows[1].endswith("echo the first of two")


def test_jobs_as_json_holds_every_job(place: Path, shared_sandbox: Sandbox) -> None:
    job = finished(shared_sandbox, "true")
    result = answer_of(cli("jobs", "--json", cwd=place))
    assert set(result) == {"jobs"}
    assert result["jobs"][0] == job.as_json()


def test_logs_shows_the_last_lines_and_says_what_came_before(
    place: Path, shared_sandbox: Sandbox
) -> None:
    job = finished(shared_sandbox, "seq 1 1000")
    done = cli("logs", job.id, "--lines", "2", cwd=place)
    assert done.stdout == "999\n1000\n"
    assert done.stderr == f"... 3.8 KiB before this: {job.log_path}\n"
    everything = cli("logs", job.id, "--lines", "0", cwd=place)
    assert everything.stdout.split() == [str(n) for n in range(1, 1001)]
    assert everything.stderr == ""


def test_logs_keeps_matching_lines_only(place: Path, shared_sandbox: Sandbox) -> None:
    job = finished(shared_sandbox, "seq 1 300000")
    done = cli("logs", "--filter", "^12345.?$", job.id, cwd=place)
    assert done.stdout.split() == ["12345", *(str(n) for n in range(123450, 123460))]


def test_a_bad_pattern_is_a_usage_error(place: Path) -> None:
    done = cli("logs", "remote-1", "--json", "--filter", "(", cwd=place)
    assert done.returncode == 2
    assert answer_of(done)["error"]["kind"] == "usage"


def test_logs_shows_no_escapes_and_the_last_state_of_a_bar(
    place: Path, shared_sandbox: Sandbox
) -> None:
    job = finished(shared_sandbox, r"printf '\033[31mred\033[0m\n1%%\r50%%\r100%%\n'")
    assert cli("logs", job.id, cwd=place).stdout == "red\n100%\n"


def test_logs_of_a_foreground_command_has_both_streams(
    place: Path, shared_sandbox: Sandbox
) -> None:
    job = shared_sandbox.run("echo out; echo err >&2").job
    done = cli("logs", job.id, cwd=place)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    result = answer_of(cli("logs", job.id, "--json", cwd=place))
    assert (result["text"], result["stderr"]) == ("out\n", "err\n")
    assert result["job"]["id"] == job.id


def test_an_unknown_job_is_not_found(place: Path) -> None:
    done = cli("logs", "remote-99999", "--json", cwd=place)
    assert done.returncode == 66
    assert answer_of(done)["error"]["kind"] == "not-found"
    assert "remote-99999" in done.stderr


def test_logs_follows_to_the_end(place: Path, shared_sandbox: Sandbox) -> None:
    job = shared_sandbox.start(
        "echo begin; until test -e ready; do sleep 0.05; done; seq 3; printf end",
        cwd=shared_sandbox.config.workspace,
    )
    with begin(("logs", "-f", job.id), place) as process:
        assert process.stdout
        assert process.stdout.readline() == b"begin\n"
        (Path(shared_sandbox.config.workspace) / "ready").touch()
        rest, output = process.communicate(timeout=30)
    assert rest == b"1\n2\n3\nend\n"
    assert process.returncode == 0
    assert output.startswith(f"{job.id} succeeded".encode())


def test_ctrl_c_in_logs_lets_the_job_go_on(
    place: Path, shared_sandbox: Sandbox
) -> None:
    job = shared_sandbox.start("echo begin; sleep 60")
    with begin(("logs", job.id, "--follow"), place) as process:
        assert process.stdout
        assert process.stdout.readline() == b"begin\n"
        process.send_signal(signal.SIGINT)
        _, output = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"sandbox-ops logs {job.id} --follow".encode() in output
    assert jobs.get(shared_sandbox, job.id).state == "running"
    jobs.stop(shared_sandbox, job.id, grace_s=1)


def test_stop_ends_the_whole_tree_and_says_so(
    place: Path, shared_sandbox: Sandbox
) -> None:
    job = shared_sandbox.start("setsid sleep 60 & sleep 60")
    wait_until(lambda: jobs.get(shared_sandbox, job.id).state == "running")
    result = answer_of(cli("stop", job.id, "--grace", "1", "--json", cwd=place))
    assert set(result) == {"job", "killed", "left", "same_name"}
    assert result["job"]["state"] == "stopped"
    assert result["killed"]
    again = cli("stop", job.id, cwd=place)
    assert again.returncode == 0
    assert again.stdout.startswith(f"{job.id} stopped")
    assert "no living process of it was found" in again.stdout


def test_a_stop_that_leaves_something_says_so_and_exits_with_1(
    make_sshd: Callable[..., SshServer], tmp_path: Path
) -> None:
    server = make_sshd()
    fake_gpus(server.home, "0, NVIDIA H100 80GB HBM3, GPU-1, 0, 10, 81559, 30, 550.54")
    server.write_toml(tmp_path)
    with Sandbox(server.config()) as sandbox:
        job = sandbox.start("sleep 60")
        leader = records.pids(job)[1]
    (server.home / "fake-gpus" / "processes").write_text(f"{leader}, 30720\n")
    done = cli("stop", job.id, "--grace", "0", cwd=tmp_path)
    assert done.returncode == 1
    assert f"not ended:\n  {leader}" in done.stdout


def test_a_pinned_job_says_so_until_it_is_unpinned(
    place: Path, shared_sandbox: Sandbox
) -> None:
    job = finished(shared_sandbox, "echo kept")
    mark = Path(job.log_path).with_name("pinned")
    pinned = cli("pin", job.id, cwd=place)
    assert pinned.stdout == (
        f"{job.id} is kept, however old it gets: {job.log_path}\n"
        f"undo: sandbox-ops pin {job.id} --off\n"
    )
    assert mark.exists()
    result = answer_of(cli("pin", job.id, "--off", "--json", cwd=place))
    assert result == {"job": job.as_json(), "pinned": False}
    assert not mark.exists()
    assert cli("pin", "remote-99999", cwd=place).returncode == 66


def test_another_sandbox_is_taken_by_its_name(sshd: SshServer, tmp_path: Path) -> None:
    toml, own = sshd.write_toml(tmp_path), own_config()
    toml.write_text('default = "nowhere"\n', "utf-8")
    text = own.read_text("utf-8").replace("[sandboxes.test]", "[sandboxes.other]")
    nowhere = '[sandboxes.nowhere]\nhost = "127.0.0.1"\nport = 1\n'
    own.write_text(f"{text}\n{nowhere}", "utf-8")
    good = cli("jobs", "--json", "--sandbox", "other", cwd=tmp_path)
    assert good.returncode == 0
    assert cli("jobs", cwd=tmp_path).returncode == 255
    bad = cli("jobs", "--json", "--sandbox", "third", cwd=tmp_path)
    assert bad.returncode == 78
    assert "other" in bad.stderr


def test_a_fabric_context_brings_its_own_machine(
    tmp_path: Path, sshd: SshServer
) -> None:
    place = tmp_path
    sshd.write_toml(place)
    (place / "fabfile.py").write_text(
        "from invoke import Collection\n"
        "from sandbox_ops import tasks\n"
        "ns = Collection()\n"
        "ns.add_collection(Collection.from_module(tasks, name='gpu'))\n"
    )
    own = own_config()
    own.write_text(
        own.read_text("utf-8").replace(f"port = {sshd.port}", "port = 1"), "utf-8"
    )
    host = f"{sshd.user}@{sshd.host}:{sshd.port}"
    fab = str(Path(sys.executable).with_name("fab"))
    text = ("-H", host, "gpu.run", "--command", "echo over; exit 4")
    done = cli(*text, cwd=place, program=fab)
    assert done.stdout == "over\n"
    assert done.returncode == 4
