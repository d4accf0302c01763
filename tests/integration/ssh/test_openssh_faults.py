"""Faults of the network, of the machine and of this computer, over the user's own `ssh`.

Its connection notices a dead peer after 15 to 20 s (ServerAliveInterval=5, three times);
then it may come back for 15 s, as over the other links. Whatever happens: an answer in
bounded time, and each command ran once.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import processes
import pytest
from command_line import PROGRAM
from network import black_hole, forget, nft, private_network, restore_network
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import EndKind, JobState, Sandbox
from sandbox_ops.engines.foreground import Call
from sandbox_ops.errors import ConnectError
from sandbox_ops.machine import jobs, transfer
from sandbox_ops.ssh.openssh_master import end_all

NOTICED_S = 22
ANSWERED_S = NOTICED_S + 15 + 12  # to come back, and the last attempt to connect
_SIZE_BYTES = 12_000_000
Make = Callable[..., SshServer]
Progress = Callable[[int, int], None]


@pytest.fixture(autouse=True)
def _runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A place for sockets that only this test has: with a short path."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield
        processes.end(keepers(), grace_s=0)


@pytest.fixture
def network() -> Iterator[None]:
    with private_network():
        yield


@contextlib.contextmanager
def over_ssh(server: SshServer) -> Iterator[Sandbox]:
    config = server.config(link="openssh")
    with Sandbox(config) as sandbox:
        yield sandbox
    end_all(config)


def keepers() -> tuple[int, ...]:
    """Return the processes that keep connections for this test's user, or use them."""
    lines = processes.carrying(f"XDG_RUNTIME_DIR={os.environ['XDG_RUNTIME_DIR']}")
    return tuple(pid for pid, line in lines.items() if line.startswith("ssh"))


def in_mid_command(sandbox: Sandbox, command: str) -> Call:
    call = sandbox.submit(f"echo once >>$HOME/runs; {command}")
    wait_until(lambda: call.job_id)
    return call


def measured(what: str, since: float) -> float:
    print(f"openssh, {what}: {time.monotonic() - since:.1f} s")  # noqa: T201  # for docs/reference/faults.md
    return time.monotonic() - since


def lose(port: int, way: str) -> None:
    """Drop what goes one way."""
    nft(
        f"""table inet fault {{
  chain lost {{
    type filter hook input priority 0
    tcp {way} {port} drop
  }}
}}
"""
    )


class Halfway:
    """Holds a transfer in its middle, until it may go on."""

    def __init__(self) -> None:
        self.is_there = threading.Event()
        self.may_go_on = threading.Event()

    def __call__(self, done: int, _: int) -> None:
        if done > _SIZE_BYTES // 4:
            self.is_there.set()
            self.may_go_on.wait(60)


class Files:
    """One file here, its copy there, and where they are sent and brought."""

    def __init__(self, folder: Path) -> None:
        names = ("here", "there", "sent", "back")
        self.here, self.there, self.sent, self.back = (folder / n for n in names)
        self.here.write_bytes(os.urandom(_SIZE_BYTES))
        self.there.write_bytes(self.here.read_bytes())

    def upload(self, sandbox: Sandbox, progress: Progress | None) -> None:
        transfer.upload(sandbox, self.here, str(self.sent), on_progress=progress)

    def download(self, sandbox: Sandbox, progress: Progress | None) -> None:
        transfer.download(
            sandbox,
            str(self.there),
            self.back,
            size_bytes=_SIZE_BYTES,
            on_progress=progress,
        )

    def check(self) -> None:
        data = self.here.read_bytes()
        assert self.sent.read_bytes() == self.back.read_bytes() == data


@pytest.mark.timeout(150)
@pytest.mark.usefixtures("network")
@pytest.mark.parametrize("way", ["dport", "sport"], ids=["there", "back"])
@pytest.mark.slow
def test_a_network_that_loses_all_ends_a_command_and_transfers_in_time_and_names_the_job(
    make_sshd: Make, tmp_path: Path, way: str
) -> None:
    server = make_sshd()
    files = Files(tmp_path)
    with over_ssh(server) as sandbox, ThreadPoolExecutor(2) as threads:
        call = in_mid_command(sandbox, "sleep 7801")
        ups, downs = Halfway(), Halfway()
        moving = (
            threads.submit(files.upload, sandbox, ups),
            threads.submit(files.download, sandbox, downs),
        )
        assert ups.is_there.wait(30) and downs.is_there.wait(30)  # noqa: PT018
        lose(server.port, way)
        lost_at = time.monotonic()
        ups.may_go_on.set()
        downs.may_go_on.set()
        result = call.future.result(ANSWERED_S)
        measured(f"all lost ({way}): command answered", lost_at)
        assert (result.end, result.job.id, result.job.state) == (
            EndKind.CONNECTION_LOST,
            call.job_id,
            JobState.UNKNOWN,
        )
        for each in moving:
            error = each.exception(ANSWERED_S - (time.monotonic() - lost_at))
            assert isinstance(error, ConnectError), error
            assert error.exit_code == 255
        measured(f"all lost ({way}): transfers answered", lost_at)
        restore_network()
        files.upload(sandbox, None)
        files.download(sandbox, None)
        files.check()
        assert jobs.get(sandbox, str(call.job_id)).state is JobState.RUNNING
        jobs.stop(sandbox, str(call.job_id), grace_s=0)
    assert (server.home / "runs").read_text() == "once\n"


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_network_that_comes_back_costs_nothing_but_time(make_sshd: Make) -> None:
    server = make_sshd()
    with over_ssh(server) as sandbox:
        call = in_mid_command(sandbox, "sleep 4; echo ended; exit 9")
        black_hole(server.port)
        lost_at = time.monotonic()
        wait_until(lambda: not keepers(), NOTICED_S, what="the end of the connection")
        measured("black hole: noticed", lost_at)
        restore_network()
        result = call.future.result(30)
        assert (result.exit_code, result.stdout.text) == (9, "ended\n")
    assert (server.home / "runs").read_text() == "once\n"


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_from_another_address_the_same_command_is_followed_to_its_end(
    make_sshd: Make,
) -> None:
    """The packets of the old connection go nowhere; nobody says that it is over."""
    server = make_sshd()
    with over_ssh(server) as sandbox:
        call = in_mid_command(sandbox, "sleep 3; echo ended")
        forget(server.port)
        changed_at = time.monotonic()
        assert call.future.result(ANSWERED_S).stdout.text == "ended\n"
        measured("another address: answered", changed_at)
    assert (server.home / "runs").read_text() == "once\n"


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_network_that_comes_and_goes_costs_no_connection(make_sshd: Make) -> None:
    server = make_sshd()
    with over_ssh(server) as sandbox:
        call = in_mid_command(
            sandbox, "for i in 1 2 3 4 5 6; do echo $i; sleep 1; done"
        )
        for _ in range(3):
            black_hole(server.port)
            went_at = time.monotonic()
            wait_until(lambda: time.monotonic() - went_at > 2, what="two seconds")  # noqa: B023
            restore_network()
            assert sandbox.run("true").ok
        assert call.future.result(40).stdout.text == "1\n2\n3\n4\n5\n6\n"
    assert server.log.count("Accepted publickey") == 1
    assert (server.home / "runs").read_text() == "once\n"


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_a_connect_into_nothing_is_given_up_and_says_so(make_sshd: Make) -> None:
    server = make_sshd()
    black_hole(server.port)
    asked_at = time.monotonic()
    with over_ssh(server) as sandbox, pytest.raises(ConnectError) as caught:
        sandbox.run("true")
    assert measured("connect into nothing: answered", asked_at) < 17
    assert "timed out" in caught.value.message
    assert f"{server.host}" in caught.value.message


def test_transfers_go_on_by_themselves_where_sshd_is_restarted_in_their_middle(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd()
    files = Files(tmp_path)
    restarted: list[int] = []
    after: list[int] = []

    def restart(done: int, _: int) -> None:
        if restarted:
            after.append(done)
        elif done > _SIZE_BYTES // 2:
            restarted.append(done)
            server.restart()

    with over_ssh(server) as sandbox:
        files.upload(sandbox, restart)
        assert min(after) > _SIZE_BYTES // 8, "it began again"
        restarted.clear()
        files.download(sandbox, restart)
    files.check()


@pytest.mark.timeout(120)
def test_a_laptop_that_slept_until_sshd_gave_it_up_gets_the_true_end(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd(extra="ClientAliveInterval 1\nClientAliveCountMax 2")
    server.write_toml(tmp_path, link="openssh")
    command = "echo once >>$HOME/runs; sleep 5; echo ended; exit 9"
    client = subprocess.Popen(
        [PROGRAM, "run", "--command", command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until((server.home / "runs").exists, 30, what="the command's beginning")
    asleep = (client.pid, *keepers())
    for pid in asleep:
        os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: "Timeout, client not responding" in server.log, 30)
    for pid in asleep:
        os.kill(pid, signal.SIGCONT)
    awake_at = time.monotonic()
    out, err = client.communicate(timeout=60)
    measured("awake again: answered", awake_at)
    assert (client.returncode, out) == (9, "ended\n"), err
    assert (server.home / "runs").read_text() == "once\n"


@pytest.mark.timeout(120)
@pytest.mark.slow
def test_where_the_ssh_that_keeps_the_connection_is_suspended_another_takes_its_place(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with over_ssh(server) as sandbox:
        sandbox.run("true")
        call = in_mid_command(sandbox, "sleep 3; echo ended")
        suspended = keepers()
        for pid in suspended:
            os.kill(pid, signal.SIGSTOP)
        since = time.monotonic()
        try:
            assert call.future.result(80).stdout.text == "ended\n"
            measured("ssh suspended: answered", since)
        finally:
            for pid in suspended:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
    assert (server.home / "runs").read_text() == "once\n"
