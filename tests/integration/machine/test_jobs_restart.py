"""A machine that restarts: new pids, which others have now, and what is told of jobs."""

from pathlib import Path

import pytest
from containers import Container, start_container
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import jobs


@row(
    "its container restarts, or the machine",
    "`lost (reboot)`, for ever; processes that have its pids now are not touched",
)
@pytest.mark.parametrize("boots", ["0f0f", "f0f0"], ids=["container", "machine"])
def test_after_a_restart_jobs_are_lost_and_processes_with_their_pids_are_not_touched(
    tmp_path: Path, boots: str
) -> None:
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("0f0f\n")
    with (
        start_container(tmp_path / "server", boot_id) as server,
        Sandbox(server.config()) as sandbox,
    ):
        job = sandbox.start("sleep 7191")
        left = sandbox.run("setsid sleep 7191 >/dev/null 2>&1 &").job
        mine = _pids(server, "sleep 7191")
        server.stop()
        boot_id.write_text(f"{boots}\n")
        server.start(busy=True)

        others = sandbox.start("for i in $(seq 100); do sleep 7192 & done; wait")
        wait_until(lambda: len(_pids(server, "sleep 7192")) >= 100)
        assert mine & set(server.outer_pids())
        lost = jobs.get(sandbox, job.id)
        assert (lost.state, lost.reason, lost.exit_code) == (
            JobState.LOST,
            "reboot",
            None,
        )
        assert jobs.stop(sandbox, job.id, grace_s=0).killed == ()
        assert jobs.stop(sandbox, left.id, grace_s=0).killed == ()
        assert len(_pids(server, "sleep 7192")) >= 100
        assert jobs.get(sandbox, job.id) == lost
        jobs.stop(sandbox, others.id, grace_s=0)


def _pids(server: Container, command: str) -> set[int]:
    """Return the pids of the processes with that command line, as the machine sees them."""
    lines = server.leftovers()
    return {
        inner
        for inner, outer in server.outer_pids().items()
        if lines.get(outer) == command
    }
