"""How long records stay, and what is never given away: a live job's, a number, a claim."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import records
from sshd import SshServer
from waiting import wait_until
from what_happens import row

from sandbox_ops import JobState, Sandbox
from sandbox_ops.errors import NotFoundError, RefusedError
from sandbox_ops.machine import jobs

Make = Callable[..., SshServer]
DAY_S = 86400


def prune(base: Path, **limits: int) -> None:
    """Run the pruner and wait for its end."""
    lines = "".join(f"{name}={number}\n" for name, number in limits.items())
    (base / "keep").write_text(lines)
    library = max((base.parents[1] / "lib").iterdir(), key=os.path.getmtime)
    subprocess.run(["sh", library, "prune", base], check=True)


def kept(base: Path) -> set[int]:
    return {int(job.name.split("-")[1]) for job in (base / "jobs").iterdir()}


@pytest.fixture
def base(make_sshd: Make) -> tuple[SshServer, Path]:
    server = make_sshd()
    with Sandbox(server.config()) as sandbox:
        sandbox.run("true")
    base = records.folder_of(server.home)
    (base / "last").write_text("1000\n")
    (base / "last-cmd").write_text("1000\n")
    return server, base


Base = tuple[SshServer, Path]


@row(
    "it ended long ago",
    "its record and log stay 30 days, 90 where it failed; for ever where pinned",
)
def test_old_background_records_go_failed_ones_later_pinned_ones_never(
    base: Base,
) -> None:
    now = time.time()
    ages = {101: (29, 0), 102: (32, 0), 103: (32, 1), 104: (89, 1), 105: (92, 1)}
    for number, (days, code) in ages.items():
        records.write(base[1], number, age_days=days, code=code, now=now)
    records.write(base[1], 106, age_days=400, now=now)
    records.write(base[1], 999, age_days=400, now=now)
    with Sandbox(base[0].config()) as sandbox:
        jobs.pin(sandbox, "remote-106")
        prune(base[1])
        assert kept(base[1]) == {101, 103, 104, 106, 999}
        jobs.pin(sandbox, "remote-106", pinned=False)
        prune(base[1])
        assert kept(base[1]) == {101, 103, 104, 999}
        with pytest.raises(NotFoundError):
            jobs.pin(sandbox, "remote-102")


def test_background_records_have_limits_of_number_and_size(base: Base) -> None:
    now = time.time()
    for number in range(101, 111):
        code = 1 if number < 103 else 0
        records.write(
            base[1], number, age_days=1, now=now, code=code, size=(1 << 20) - 40960
        )
    prune(base[1], count=6)
    assert kept(base[1]) == {101, 102, *range(105, 111)}
    prune(base[1], mib=4)
    assert kept(base[1]) == {101, 102, *range(107, 111)}


def test_of_foreground_records_the_newest_stay_and_the_large_a_week(base: Base) -> None:
    now = time.time()
    records.write(base[1], 801, age_days=0, now=now, foreground=True)
    for number, days, size in ((700, 0, 9), (701, 6, 1 << 20), (702, 8, 1 << 20)):
        records.write(
            base[1], number, age_days=days, now=now, foreground=True, size=size
        )
    prune(base[1])
    assert kept(base[1]) == {701, 801}
    for number in range(970, 1000):
        records.write(
            base[1], number, age_days=0, now=now, foreground=True, size=1 << 20
        )
    prune(base[1], fg_mib=5)
    assert kept(base[1]) == set(range(981, 1000))  # what fits, and never the newest 20


@row("other jobs come and go meanwhile", "the record of one that runs is never pruned")
def test_a_live_job_keeps_its_record_and_its_claims_for_months(base: Base) -> None:
    server, folder = base
    with Sandbox(server.config()) as sandbox:
        job = sandbox.start("sleep 7411", gpus=(2,), name="long", unique_name=True)
        left = sandbox.run("nohup sleep 7412 >/dev/null 2>&1 &").job
        over = sandbox.start("true", gpus=(3,))
        jobs.wait(sandbox, over.id, timeout_s=10)
        long_ago = time.time() - 300 * DAY_S
        for claim in (folder / "claims").iterdir():
            os.utime(claim, (long_ago, long_ago))
        (folder / "last").write_text("2000\n")
        prune(folder, newest=1, days=0, count=0, mib=0, fg_mib=0)
        assert jobs.get(sandbox, job.id).state is JobState.RUNNING
        assert jobs.get(sandbox, left.id).survivors == 1
        with pytest.raises(RefusedError, match=f"GPU 2 is held by {job.id}"):
            sandbox.start("true", gpus=(2,))
        assert not list((folder / "claims").glob("gpu-3.*"))
        jobs.stop(sandbox, left.id, grace_s=0)
        jobs.stop(sandbox, job.id, grace_s=0)
        prune(folder, newest=1, days=0, count=0, mib=0, fg_mib=0)
        assert not {job.id, left.id} & {each.id for each in jobs.recent(sandbox)}


def test_a_number_is_never_given_again(base: Base) -> None:
    server, folder = base
    records.write(folder, 900, age_days=400, now=time.time())
    prune(folder)
    for hint in ("3\n", "", "nonsense\n"):
        (folder / "last").write_text(hint)
        with Sandbox(server.config()) as sandbox:
            number = int(sandbox.start("true").id.removeprefix("remote-"))
            assert number > 1000


@pytest.mark.parametrize("hint", ["", "nonsense\n"])
def test_a_lost_hint_hides_no_job(base: Base, hint: str) -> None:
    """As where the disk filled up just when the last number was written."""
    server, folder = base
    records.write(folder, 1000, age_days=0, now=time.time())
    (folder / "last").write_text(hint)
    with Sandbox(server.config()) as sandbox:
        assert [job.id for job in jobs.recent(sandbox)] == ["remote-1000"]
        status = jobs.status(sandbox, path="/")
        assert [job.id for job in status.jobs] == ["remote-1000"]
        assert list(status.digests) == ["remote-1000"]
        assert sandbox.start("true").id == "remote-1001"


def test_a_hint_that_lags_far_behind_leads_to_the_next_number(base: Base) -> None:
    server, folder = base
    model = records.write(folder, 2, age_days=0, now=time.time())
    records.copies(folder, 1001, 3000, model)
    (folder / "last").write_text("1000\n")
    with Sandbox(server.config()) as sandbox:
        assert sandbox.start("true").id == "remote-3001"


def test_the_pruner_comes_by_itself_with_every_two_hundredth_start(base: Base) -> None:
    server, folder = base
    old = records.write(folder, 5, age_days=400, now=time.time())
    (folder / "last").write_text("1198\n")
    with Sandbox(server.config()) as sandbox:
        sandbox.start("true")
        assert old.exists()
        assert sandbox.start("true").id == "remote-1200"
        wait_until(lambda: not old.exists(), what="the pruner")
        assert sandbox.start("true").id == "remote-1201"


def test_who_writes_much_makes_the_pruner_come(base: Base) -> None:
    server, folder = base
    old = records.write(folder, 5, age_days=400, now=time.time())
    with Sandbox(server.config()) as sandbox:
        sandbox.run("sleep 1.1; head -c 70000000 /dev/zero", keep_bytes=2)
        wait_until(lambda: not old.exists(), what="the pruner")


def test_a_live_job_is_listed_however_many_came_after_it(base: Base) -> None:
    server, folder = base
    with Sandbox(server.config()) as sandbox:
        job = sandbox.start("echo here; sleep 7421")
        wait_until(lambda: jobs.output(sandbox, job.id).data)
        number = int(job.id.split("-")[1])
        model = records.write(folder, 2, age_days=0, now=time.time())
        records.copies(folder, number + 1, number + 3000, model)
        wait_until((folder / "live" / job.id).exists)
        assert job.id in {each.id for each in jobs.recent(sandbox, 5)}
        status = jobs.status(sandbox, path="/")
        assert job.id in {each.id for each in status.jobs}
        assert status.digests[job.id].tail == b"here\n"
        jobs.stop(sandbox, job.id, grace_s=0)
        assert job.id not in {each.id for each in jobs.recent(sandbox, 5)}
        wait_until(lambda: not (folder / "live" / job.id).exists())
