"""Half a request is none, secrets stay secret, and one start is one job."""

import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import processes
import pytest
from processes import carrying
from schedules import start_one
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job
from sandbox_ops.remote import scripts
from sandbox_ops.remote.start_request import StartRequest

Make = Callable[..., SshServer]
KILLS = int(os.environ.get("SANDBOX_OPS_KILLS", "12"))
ACKED = 3
NOBODY = 65534


@pytest.mark.parametrize("filler", [10, 5000], ids=["short", "long"])
def test_a_request_that_was_cut_off_does_nothing(tmp_path: Path, filler: int) -> None:
    """As when a client dies while it sends: every cut near a word's end is tried."""
    text = StartRequest(
        command="make",
        interpreter="sh",
        cwd="/",
        gpus=(0, 1),
        token="t",  # noqa: S106  # nobody's
        files={"extra": "x" * filler},
    ).words()
    whole = scripts.request(1, "start", text)
    body = whole.index(b"\n") + 1
    cuts = [n for n in range(body, len(whole)) if whole[n - 1 : n] in b" '\n"]
    cuts = [*cuts[-12:], len(whole) - 3]
    library = tmp_path / "library"
    library.write_text(scripts.library())
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    for cut in [*cuts, len(whole)]:
        sent = b"#nonce\n" + whole[:cut]
        subprocess.run(
            ["sh", library, "worker"],
            input=sent, env=environment, capture_output=True, check=False,
        )  # fmt: skip
        records = list(tmp_path.glob(".sandbox-ops/v1/*/jobs/*"))
        assert len(records) == (cut == len(whole)), sent[-60:]


def test_no_other_user_sees_a_secret_anywhere(make_sshd: Make) -> None:
    server = make_sshd()
    secret = "canary-5f2a91"  # noqa: S105  # nobody's
    with Sandbox(server.config()) as sandbox:
        job = sandbox.start('sleep 7601; echo "${#TOKEN}"', env={"TOKEN": secret})
        call = sandbox.submit("sleep 7601", env={"TOKEN": secret})
        wait_until(lambda: call.job_id)
        look = (
            "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n';"
            f"grep -rs . {server.home}/.sandbox-ops"
        )
        seen = subprocess.run(
            ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
             "sh", "-c", look], capture_output=True, check=False,
        ).stdout  # fmt: skip
        assert b"sleep" in seen  # the look itself works
        assert secret.encode() not in seen
        for each in (job.id, str(call.job_id)):
            jobs.stop(sandbox, each, grace_s=0)
    kept = subprocess.run(
        ["grep", "-rl", secret, server.home], capture_output=True, check=False
    )
    assert kept.stdout == b""


@row("the client is killed with -9 while it starts one", "there is one job, or none")
@pytest.mark.chance
@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(KILLS, marks=pytest.mark.timeout(60 + 2 * KILLS)),
        pytest.param(200, marks=[pytest.mark.soak, pytest.mark.timeout(900)]),
    ],
)
@pytest.mark.slow
def test_a_client_killed_anywhere_in_a_start_leaves_one_job_or_none(
    make_sshd: Make, kills: int, measured: Callable[[str], None]
) -> None:
    server = make_sshd()
    spans = [_start(server, n, None) for n in range(kills, kills + ACKED)]
    for n in range(kills):
        _start(server, n, 1.5 * min(spans) * n / kills)
    with Sandbox(server.config()) as sandbox:
        wait_until(
            lambda: all(
                map(_up, jobs.recent(sandbox, 2 * kills, include_commands=True))
            )
        )
        listed = jobs.recent(sandbox, 2 * kills, include_commands=True)
        known = {job.command: job.id for job in listed}
        assert len(known) == len(listed)
        mark = f"SANDBOX_JOB={server.home}"
        living = [line for line in carrying(mark).values() if line == "sleep 7611"]
        assert len(living) == sum(job.state is JobState.RUNNING for job in listed)
        survived = len(listed) - ACKED
        measured(
            f"a client killed at {kills} points of a start: {survived} times one job, "
            f"{kills - survived} times nothing"
        )
        assert survived < kills
        for n in range(0, kills, 4):
            again = sandbox.start(_command(n), token=f"token-{n}")
            assert again.id == known.get(again.command, again.id)
    processes.end(carrying(mark), grace_s=0)


def _start(server: SshServer, n: int, killed_after_s: float | None) -> float:
    """Start a job from a process that is killed so long after it began.

    Returns:
        How long it lived after that, in seconds.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["sandbox_ops.ssh.connection", "schedules"])
    begun = context.Event()
    args = (server.config(), _command(n), f"token-{n}", begun)
    client = context.Process(target=start_one, args=args)
    client.start()
    assert begun.wait(30)
    began = time.monotonic()
    client.join(killed_after_s)
    client.kill()
    client.join()
    return time.monotonic() - began


def _command(n: int) -> str:
    return f"sleep 7611; exit {n}"


def _up(job: Job) -> bool:
    return job.state is not JobState.STARTING
