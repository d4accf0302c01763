"""The check of a Slurm job's nodes, as a program: who has come, who has not, and who is a stranger."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waiting import wait_until

from sandbox_ops.remote import node

Meet = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free: int = probe.getsockname()[1]
        return free


@pytest.fixture
def meet(tmp_path: Path) -> Iterator[Meet]:
    """Start the program with these words."""
    program = tmp_path / "node_meet.py"
    program.write_text(node.meeting())
    running: list[subprocess.Popen[str]] = []

    def one(*words: object, known: str = "s") -> "subprocess.Popen[str]":
        running.append(
            subprocess.Popen(
                [sys.executable, program, *map(str, words)],
                env={"SANDBOX_JOB": str(tmp_path), "SANDBOX_NODE_SECRET": known},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return running[-1]

    yield one
    for each in running:
        each.kill()
        each.communicate()


def end(process: "subprocess.Popen[str]") -> tuple[int, str]:
    out, _ = process.communicate(timeout=40)
    return process.returncode, out


def test_no_node_begins_before_all_have_come(
    meet: Meet, port: int, tmp_path: Path
) -> None:
    first = meet("wait", port, 30, "n1", "n2", "n3")
    wait_until((tmp_path / "node_meets").exists, 20)
    second = meet("come", "127.0.0.1", port, 20, 1, "n2", "n1")
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(1)
    third = meet("come", "127.0.0.1", port, 20, 2, "n3", "n1")
    assert [end(each) for each in (first, second, third)] == [(0, "")] * 3
    assert (tmp_path / "node_met").read_text() == "go\n"
    socket.create_server(("127.0.0.1", port)).close()  # the training can have it


def test_nodes_that_do_not_come_are_named_and_the_others_do_not_begin(
    meet: Meet, port: int, tmp_path: Path
) -> None:
    first = meet("wait", port, 3, "n1", "n2", "n3")
    wait_until((tmp_path / "node_meets").exists, 20)
    second = meet("come", "127.0.0.1", port, 20, 1, "n2", "n1")
    stranger = meet("come", "127.0.0.1", port, 0, 2, "n3", "n1", known="x")
    code, said = end(first)
    assert code == 75
    assert (
        said
        == f"[sandbox-ops] not begun: n3 did not reach n1 at port {port} within 3 s\n"
    )
    assert end(second) == (75, "")
    assert end(stranger)[0] == 75
    assert (tmp_path / "node_met").read_text() == "no\n"


def test_a_node_that_cannot_reach_the_first_says_which_address_and_what_to_do(
    meet: Meet, port: int
) -> None:
    code, said = end(meet("come", "127.0.0.1", port, 1, 1, "n2", "n1"))
    assert code == 75
    way = f"n2 cannot open a connection to n1 (127.0.0.1:{port}): Connection refused"
    assert f"[sandbox-ops] not begun: {way}\n" in said
    assert "give MASTER_ADDR by --env" in said


def test_a_port_that_another_took_meanwhile_is_said(
    meet: Meet, port: int, tmp_path: Path
) -> None:
    with socket.create_server(("", port)):
        code, said = end(meet("wait", port, 30, "n1", "n2"))
    assert code == 75
    assert f"port {port} of n1 cannot be had: {os.strerror(98)}" in said
    assert (tmp_path / "node_met").read_text() == "no\n"
