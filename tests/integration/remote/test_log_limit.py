"""A stream that outgrew its limit, cut while its job ends."""

import os
import shutil
from pathlib import Path

import processes
import records
from raw_worker import raw_worker
from waiting import wait_until

from sandbox_ops.remote.start_request import StartRequest

CAP_BYTES = 1 << 20
BEFORE_IT_CUTS = "truncate -s $((cap - _kept))"
SLOW_TRUNCATE = '#!/bin/sh\n{real} "$@" && sleep 0.3\n'


def _slow_truncate(folder: Path) -> Path:
    folder.mkdir()
    program = folder / "truncate"
    program.write_text(SLOW_TRUNCATE.format(real=shutil.which("truncate")))
    program.chmod(0o755)
    return folder


def test_a_log_that_is_cut_while_its_job_ends_has_its_end_once(tmp_path: Path) -> None:
    home, may_end = tmp_path / "home", tmp_path / "may_end"
    home.mkdir()
    path = f"{_slow_truncate(tmp_path / 'bin')}:{os.environ['PATH']}"
    with raw_worker(home, pause_at=BEFORE_IT_CUTS, path=path) as worker:
        request = StartRequest(
            command=f"seq 1000000 1999999; until [ -e {may_end} ]; do sleep 0.05; done",
            cwd="/",
            interpreter="sh",
            cap_bytes=CAP_BYTES,
        )
        worker.ask("start", request.words())
        job = home / ".sandbox-ops/v1/home/jobs/remote-1"
        worker.wait_for_the_pause()  # the limiter, which looks while it runs
        supervisor, leader = records.pids_in(job / "state")
        may_end.touch()

        def waits() -> bool:
            if processes.alive(leader):
                return False
            children = processes.descendants(supervisor)

            return any(child.name == "sleep" for child in children)

        wait_until(waits, 20, what="the supervisor comes to its own cut")
        worker.go()
        wait_until(lambda: (job / "state").read_text().startswith("ended"), 20)
    log = (job / "log").read_bytes()
    assert len(log) == CAP_BYTES
    assert log.endswith(b"\n1999998\n1999999\n")
    assert log.count(b"\n1999999\n") == 1
    assert not (job / "cutting").is_symlink()
