"""Foreground commands: what a caller of `Sandbox.run` can rely on."""

import os
import re
import threading
import time
from collections.abc import Callable

import pytest
from slow import slow
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import EndKind, JobState, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError, UsageError
from sandbox_ops.machine import jobs
from sandbox_ops.remote import scripts


def pids_of(server: SshServer, text: str) -> list[int]:
    return [pid for pid, line in server.leftovers().items() if text in line]


def test_exit_code_stdout_and_stderr_arrive_apart(shared_sandbox: Sandbox) -> None:
    result = shared_sandbox.run("echo out; echo err >&2; exit 3")
    assert (result.end, result.exit_code) == (EndKind.EXITED, 3)
    assert (result.stdout.text, result.stderr.text) == ("out\n", "err\n")


@pytest.mark.parametrize("code", [1, 126, 127, 128, 255])
def test_every_exit_code_is_reported(shared_sandbox: Sandbox, code: int) -> None:
    assert shared_sandbox.run(f"exit {code}").exit_code == code


def test_a_signal_is_distinguished_from_an_exit_code(shared_sandbox: Sandbox) -> None:
    result = shared_sandbox.run("kill -SEGV $$")
    assert result.end is EndKind.SIGNALLED
    assert (result.exit_code, result.job.signal) == (139, "SEGV")


def test_stdin_is_empty_and_does_not_hang(shared_sandbox: Sandbox) -> None:
    assert shared_sandbox.run("cat; echo done", timeout_s=10).stdout.text == "done\n"


def test_a_command_runs_in_its_directory_with_its_environment_as_data(
    shared_sandbox: Sandbox,
) -> None:
    value = "a b'c\"$(echo injected);\nz"
    result = shared_sandbox.run(
        'pwd; printf %s "$VALUE"', cwd="/usr", env={"VALUE": value}
    )
    assert result.stdout.text == f"/usr\n{value}"


def test_a_directory_that_is_not_there_is_named(
    shared_sandbox: Sandbox, sshd: SshServer
) -> None:
    missing = sshd.home / "no such folder" / "at all"
    with pytest.raises(NotFoundError, match=str(missing)):
        shared_sandbox.run("true", cwd=str(missing))


def test_a_command_of_a_megabyte_arrives_whole(shared_sandbox: Sandbox) -> None:
    result = shared_sandbox.run(f"printf %s {'x' * 1_000_000} | wc -c")
    assert result.stdout.text.strip() == "1000000"


def test_a_nul_is_refused_before_anything_is_sent(shared_sandbox: Sandbox) -> None:
    before = jobs.recent(shared_sandbox, 1, include_commands=True)
    with pytest.raises(UsageError, match="NUL"):
        shared_sandbox.run("echo a\0b")
    assert jobs.recent(shared_sandbox, 1, include_commands=True) == before


def test_of_a_long_output_head_and_tail_are_kept_and_the_rest_counted(
    shared_sandbox: Sandbox,
) -> None:
    result = shared_sandbox.run("seq 1 2000000", keep_bytes=20_000)
    assert result.stdout.size_bytes == 14_888_896
    assert result.stdout.head.startswith(b"1\n2\n3\n")
    assert result.stdout.tail.endswith(b"1999999\n2000000\n")
    assert result.stdout.omitted_bytes == 14_888_896 - 20_000


def test_a_listener_hears_every_byte(shared_sandbox: Sandbox) -> None:
    heard = {"stdout": b"", "stderr": b""}

    def listen(stream: str, piece: bytes) -> None:
        heard[stream] += piece

    shared_sandbox.run("seq 1 100000; echo e >&2", on_output=listen)
    assert heard["stdout"] == b"".join(b"%d\n" % n for n in range(1, 100_001))
    assert heard["stderr"] == b"e\n"


def test_invalid_utf8_stays_visible(shared_sandbox: Sandbox) -> None:
    result = shared_sandbox.run(r"printf 'a\377\303\251'")
    assert result.stdout.text == "a\\xffé"
    assert result.stdout.head == b"a\xff\xc3\xa9"


def test_a_timeout_is_answered_when_the_whole_tree_is_dead(
    sandbox: Sandbox, sshd: SshServer
) -> None:
    stubborn = (
        "setsid bash -c 'trap \"\" TERM; sleep 7071' &\n"
        "(setsid nohup sleep 7072 >/dev/null 2>&1 &)\n"
        "echo partial; sleep 7073"
    )
    result = sandbox.run(stubborn, timeout_s=0.5)
    assert result.end is EndKind.TIMED_OUT
    assert (result.exit_code, result.left) == (124, ())
    assert result.stdout.text == "partial\n"
    assert pids_of(sshd, "sleep 707") == []


def test_a_cancelled_command_is_dead_when_its_end_is_answered(
    sandbox: Sandbox, sshd: SshServer
) -> None:
    call = sandbox.submit("setsid sleep 7081 & sleep 7082")
    wait_until(lambda: len(pids_of(sshd, "sleep 708")) == 2)
    call.cancel()
    result = call.future.result(10)
    assert result.job.state is JobState.STOPPED
    assert pids_of(sshd, "sleep 708") == []


def test_processes_left_behind_are_counted_and_can_be_stopped(
    sandbox: Sandbox, sshd: SshServer
) -> None:
    result = sandbox.run("nohup sleep 7091 >/dev/null 2>&1 & echo started")
    assert (result.end, result.job.survivors) == (EndKind.EXITED, 1)
    report = jobs.stop(sandbox, result.job.id)
    assert report.job.state is JobState.SUCCEEDED
    assert [line.split()[1] for line in report.killed] == ["sleep"]
    assert pids_of(sshd, "sleep 7091") == []


@pytest.mark.slow
def test_a_daemon_that_is_just_starting_is_counted(sandbox: Sandbox) -> None:
    """While a process becomes a program, its environment is empty, and so its marker.

    Every second command begins so many processes that not each of them is looked at: as
    on a machine where others do.
    """
    busy = "for i in $(seq 320); do $(:); done"
    for number in range(20):
        before = f"{busy}; " if number % 2 else ""
        job = sandbox.run(
            f"{before}(setsid sh -c 'sleep 60 & exit' >/dev/null 2>&1 &)"
        ).job
        assert job.survivors  # its own parent may still be there
        assert jobs.get(sandbox, job.id).survivors
        jobs.stop(sandbox, job.id, grace_s=0)


def test_a_killed_ssh_session_is_reconnected_and_the_real_end_answered(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        call = sandbox.submit("echo one; sleep 1; echo two; exit 5")
        wait_until(lambda: call.job_id)
        for pid in server.session_pids():
            os.kill(pid, 9)
        result = call.future.result(20)
    assert (result.end, result.exit_code) == (EndKind.EXITED, 5)
    assert result.stdout.text == "one\ntwo\n"


@pytest.mark.slow
def test_a_connection_that_stays_lost_is_its_own_end_with_the_job_named(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        call = sandbox.submit("sleep 7101")
        job_id = str(wait_until(lambda: call.job_id))
        server.stop()
        started = time.monotonic()
        result = call.future.result(30)
        assert time.monotonic() - started < 25
        assert result.end is EndKind.CONNECTION_LOST
        assert (result.job.id, result.job.state) == (job_id, JobState.UNKNOWN)
        server.start()
        assert jobs.get(sandbox, job_id).state is JobState.RUNNING
        jobs.stop(sandbox, job_id, grace_s=0)


@pytest.mark.parametrize("max_sessions", [1, *slow(2, 10)])
def test_two_hundred_commands_at_once_are_all_right_whatever_the_session_limit(
    make_sshd: Callable[..., SshServer], max_sessions: int
) -> None:
    server = make_sshd(max_sessions=max_sessions)
    with Sandbox(server.config()) as sandbox:
        calls = [sandbox.submit(f"echo {n}; exit {n % 7}") for n in range(200)]
        results = [call.future.result(60) for call in calls]
    assert [r.stdout.text for r in results] == [f"{n}\n" for n in range(200)]
    assert [r.exit_code for r in results] == [n % 7 for n in range(200)]


@pytest.mark.slow
def test_a_short_command_passes_many_long_ones_and_no_thread_waits_for_them(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd(max_sessions=2)
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
        calls = [sandbox.submit("sleep 7111", timeout_s=300) for _ in range(40)]
        wait_until(lambda: all(call.job_id for call in calls), 30)
        assert sandbox.run("echo quick").stdout.text == "quick\n"
        assert not any(call.future.done() for call in calls)
        assert threading.active_count() < 20
        for call in calls:
            call.cancel()
        ends = {call.future.result(60).job.state for call in calls}
    assert ends == {JobState.STOPPED}


def test_a_cold_sandbox_hit_by_sixteen_threads_connects_once(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    answers: list[str] = []
    with Sandbox(server.config()) as sandbox:
        threads = [
            threading.Thread(
                target=lambda: answers.append(sandbox.run("echo x").stdout.text)
            )
            for _ in range(16)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert answers == ["x\n"] * 16
    assert server.log.count("Accepted publickey") == 1


@pytest.mark.slow
def test_fifty_sandboxes_open_at_once_although_the_server_drops_new_clients(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd(extra="MaxStartups 10:30:60")
    machines = [Sandbox(server.config()) for _ in range(50)]
    calls = [machine.submit("echo here") for machine in machines]
    answers = [call.future.result(60).stdout.text for call in calls]
    for machine in machines:
        machine.close()
    assert answers == ["here\n"] * 50


SHELLS = ["/bin/bash", "/usr/bin/fish", "/bin/tcsh"]
SHELLS_LIKE_THOSE = ["/bin/dash", "/usr/bin/zsh", "/bin/csh"]


@pytest.mark.parametrize("shell", [*SHELLS, *slow(*SHELLS_LIKE_THOSE)])
def test_the_login_shell_does_not_matter(
    make_sshd: Callable[..., SshServer], shell: str
) -> None:
    if not os.path.exists(shell):  # noqa: PTH110
        pytest.fail(f"{shell} is missing: `make test` installs it")
    server = make_sshd(login_shell=shell)
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run("for i in {1..3}; do echo $i; done; echo e! >&2; exit 4")
    assert (result.exit_code, result.stdout.text) == (4, "1\n2\n3\n")
    assert result.stderr.text == "e!\n"


BASHRC = {
    "prints": "echo noise; echo more >&2",
    "set -e": "set -e",
    "IFS": "IFS=x; export IFS",
    "unset PATH entries": "PATH=$HOME/bin:$PATH; export PATH",
    "reads stdin": "read -r stolen; cat >/dev/null",
}


@pytest.mark.parametrize("line", BASHRC.values(), ids=BASHRC.keys())
def test_a_start_up_file_that_misbehaves_does_not_change_answers(
    make_sshd: Callable[..., SshServer], line: str
) -> None:
    server = make_sshd()
    (server.home / ".bash_profile").write_text(f"{line}\n")
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run("false; echo 'a b'; exit 2")
    assert (result.exit_code, result.stdout.text, result.stderr.text) == (
        2,
        "a b\n",
        "",
    )


@pytest.mark.parametrize("line", ["exit 0", "exec dash", "exec sleep 0"])
def test_a_start_up_file_that_ends_the_shell_is_answered_right_or_named(
    make_sshd: Callable[..., SshServer], line: str
) -> None:
    server = make_sshd(login_shell="/bin/bash")
    (server.home / ".bash_profile").write_text(f"{line}\n")
    with Sandbox(server.config()) as sandbox:
        assert sandbox.run("echo right").stdout.text == "right\n"
        assert sandbox.login == "failed"


def test_the_environment_is_the_login_environment(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    (server.home / ".bash_profile").write_text(
        "export WANDB_MODE=offline PATH=$HOME/.local/bin:$PATH\n"
    )
    with Sandbox(server.config()) as sandbox:
        lines = sandbox.run(
            'echo "$WANDB_MODE"; echo "$PATH"; umask'
        ).stdout.text.split("\n")
    assert lines[0] == "offline"
    assert lines[1].startswith(f"{server.home}/.local/bin:")
    assert lines[2] == "0022"


LIBRARY_NAMES = sorted(
    {
        name
        for name in re.findall(r"(?<![\w$/{-])([A-Za-z]\w*)=", scripts.library())
        if name == "SANDBOX_OPS_SH" or not name.startswith("SANDBOX_")  # the job's own
    }
    - {
        "BASH_ENV",
        "IFS",
        "PATH",
        "PYTHONUNBUFFERED",
        "SANDBOX_OPS_SH",
    }
)


def test_no_variable_of_ours_hides_one_of_the_users(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    exports = "\n".join(f"export {name}=mine" for name in LIBRARY_NAMES)
    (server.home / ".bash_profile").write_text(f"{exports}\n")
    assert {"ROOT", "BASE", "STATE", "dir", "cwd", "shell"} <= set(LIBRARY_NAMES)
    with Sandbox(server.config()) as sandbox:
        output = sandbox.run("env", env={"cwd": "given"}).stdout.text.splitlines()
    wanted = {f"{name}=mine" for name in LIBRARY_NAMES if name != "cwd"}
    assert wanted - set(output) == set()
    assert "cwd=given" in output


def test_the_functions_of_the_login_shell_are_there(
    make_sshd: Callable[..., SshServer],
) -> None:
    """As conda and the modules of clusters need it."""
    server = make_sshd()
    (server.home / ".bash_profile").write_text(
        'conda() { echo "conda $1"; }\n'
        'module() { echo "module $1"; }\n'
        "export -f module\n"
        "command_not_found_handle() { sleep 60; }\n"
    )
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run(
            "conda activate; bash -c 'module load; conda activate'; echo ${BASH_ENV-no}"
        )
    assert result.stdout.text == "conda activate\nmodule load\nno\n"
    assert "conda: command not found" in result.stderr.text


def test_functions_that_cannot_be_read_again_are_left_out(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    (server.home / "env.sh").write_text("echo from BASH_ENV >&2\n")
    (server.home / ".bash_profile").write_text(
        "shopt -s extglob\nodd() { case $1 in !(a|b)) echo;; esac; }\n"
        "export BASH_ENV=$HOME/env.sh\n"
    )
    with Sandbox(server.config()) as sandbox:
        result = sandbox.run("echo $BASH_ENV")
    assert result.stdout.text == f"{server.home}/env.sh\n"
    assert result.stderr.text == "from BASH_ENV\n"


def test_a_foreign_or_linked_record_folder_is_refused(
    make_sshd: Callable[..., SshServer],
) -> None:
    server = make_sshd()
    (server.home / "elsewhere").mkdir()
    (server.home / ".sandbox-ops").symlink_to(server.home / "elsewhere")
    with (
        Sandbox(server.config()) as sandbox,
        pytest.raises(Exception, match="symbolic link"),
    ):
        sandbox.run("true")
    assert list((server.home / "elsewhere").iterdir()) == []


def test_a_full_disk_refuses_the_start_and_says_why(
    make_sshd: Callable[..., SshServer],
) -> None:
    if os.geteuid() != 0:
        pytest.fail("mounting a tmpfs needs root")
    server = make_sshd()
    root = server.home / ".sandbox-ops"
    root.mkdir()
    os.system(f"mount -t tmpfs -o size=400k tmpfs {root}")  # noqa: S605
    try:
        with Sandbox(server.config()) as sandbox:
            assert sandbox.run("echo fits").stdout.text == "fits\n"
            os.system(f"dd if=/dev/zero of={root}/fill bs=1k 2>/dev/null")  # noqa: S605
            with pytest.raises(RefusedError, match="disk is full"):
                sandbox.run("echo no")
            (root / "fill").unlink()
            assert sandbox.run("echo again").stdout.text == "again\n"
    finally:
        os.system(f"umount -l {root}")  # noqa: S605
