"""The first call after a sleep, another network, a reboot: it works, or says why."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import processes
import pytest
from mcp_server import Wire, started, wire
from mounts import private_mounts
from network import black_hole, forget, private_network
from sshd import SshServer
from waiting import wait_until

MakeSshd = Callable[..., SshServer]


@pytest.fixture
def network() -> Iterator[None]:
    with private_network():
        yield


class Asking:
    """Asks one call after the other."""

    def __init__(self, server: Wire) -> None:
        self._server = server
        self._asked = 1

    def __call__(self, tool: str, **arguments: object) -> str:
        self._asked += 1
        self._server.call(self._asked, tool, **arguments)
        (content,) = self._server.answer(self._asked)["result"]["content"]
        assert isinstance(content["text"], str)
        return content["text"]


@pytest.fixture
def machine(make_sshd: MakeSshd) -> SshServer:
    return make_sshd()


@pytest.fixture
def server(machine: SshServer, tmp_path: Path) -> Iterator[Wire]:
    machine.write_toml(tmp_path)
    with wire({}, tmp_path) as server:
        server.begin()
        yield server


def test_the_first_call_after_a_sleep_of_this_computer_works(
    server: Wire, machine: SshServer
) -> None:
    ask = Asking(server)
    assert ask("remote_bash", command="echo before") == "before"
    server.process.send_signal(signal.SIGSTOP)
    processes.end(machine.session_pids(), grace_s=0)  # sshd gave up on us meanwhile
    server.process.send_signal(signal.SIGCONT)
    assert ask("remote_bash", command="echo after") == "after"


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_the_first_call_on_another_network_works(
    machine: SshServer, server: Wire
) -> None:
    ask = Asking(server)
    assert ask("remote_bash", command="echo before") == "before"
    forget(machine.port)
    began = time.monotonic()
    assert ask("remote_bash", command="echo after") == "after"
    assert time.monotonic() - began < 20


@pytest.mark.usefixtures("network")
@pytest.mark.slow
def test_the_first_call_without_a_network_says_what_is_wrong(
    machine: SshServer, server: Wire
) -> None:
    ask = Asking(server)
    assert ask("remote_bash", command="echo before") == "before"
    black_hole(machine.port)
    began = time.monotonic()
    answer = ask("remote_bash", command="echo after")
    assert time.monotonic() - began < 35
    assert answer.startswith("connection lost: it is not known whether the command")
    assert "look before you run it again" in answer


def reboot(machine: SshServer, boot_id: Path) -> None:
    """End everything that runs there, and come back as another boot."""
    machine.stop()
    for pid in sorted(
        machine.leftovers()
    ):  # a supervisor before its job: no end is told
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not machine.leftovers())
    boot_id.write_text(f"{2:036x}\n")
    machine.start(busy=True)


def test_the_first_call_after_a_reboot_of_the_machine_works_and_tells_of_it(
    make_sshd: MakeSshd, tmp_path: Path
) -> None:
    with private_mounts() as mounts:
        boot_id = tmp_path / "boot_id"
        boot_id.write_text(f"{1:036x}\n")
        mounts.bind(boot_id, Path("/proc/sys/kernel/random/boot_id"))
        machine = mounts.do(make_sshd)
        with mounts.do(lambda: wire({}, tmp_path)) as server:
            machine.write_toml(tmp_path)
            server.begin()
            ask = Asking(server)
            job = started(
                ask("remote_bash", command="sleep 3600", run_in_background=True)
            )
            running = f"{job}: running"
            wait_until(lambda: running in ask("remote_bash_output", bash_id=job))
            mounts.do(lambda: reboot(machine, boot_id))
            assert ask("remote_bash", command="echo after") == "after"
            answer = ask("remote_bash_output", bash_id=job)
            assert answer.startswith(f"{job}: lost (reboot)")
