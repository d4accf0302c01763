"""The supervisor of a job, signalled at a moment that hurts."""

import os
import signal
from pathlib import Path

import processes
import records
from raw_worker import raw_worker
from waiting import wait_until

from sandbox_ops.remote.start_request import StartRequest

AFTER_ITS_WAIT = '[ -n "$poked" ] || break'


def test_a_job_that_ends_while_its_supervisor_is_signalled_has_its_own_exit_code(
    tmp_path: Path,
) -> None:
    home, may_end = tmp_path / "home", tmp_path / "may_end"
    home.mkdir()
    with raw_worker(home, pause_at=AFTER_ITS_WAIT) as worker:
        command = f"until [ -e {may_end} ]; do sleep 0.05; done; exit 9"
        request = StartRequest(command=command, cwd="/", interpreter="sh")
        worker.ask("start", request.words())
        file = home / ".sandbox-ops/v1/home/jobs/remote-1/state"
        supervisor, leader = records.pids_in(file)
        os.kill(supervisor, signal.SIGTERM)
        worker.wait_for_the_pause()  # the signal ended its wait
        may_end.touch()
        wait_until(lambda: not processes.alive(leader), 20)
        worker.go()
        wait_until(lambda: file.read_text().startswith("ended"), 20)
    assert " code=9 " in file.read_text()
