"""The audit log: every line is there, whole, in one chain; or what destroys is not done."""

import json
import multiprocessing
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounts import Mounts, private_mounts

from sandbox_ops.errors import NotFoundError, RefusedError
from sandbox_ops.guard import acts, audit
from sandbox_ops.guard.audit import AuditLog, Who
from sandbox_ops.models import SandboxConfig

MACHINE = SandboxConfig(name="gpu1", host="h")


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with private_mounts() as own:
        yield own


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "state/audit.jsonl", Who(face="cli", session="s1"))


def write_many(path: Path, count: int) -> None:
    own = AuditLog(path)
    for number in range(count):
        own.end(own.begin("run", f"{os.getpid()} {number}"), "run", "done")


def test_an_act_leaves_its_intent_and_its_outcome(log: AuditLog) -> None:
    act = log.begin("run", "ls", sandbox="gpu1", host="h")
    log.end(act, "run", "exit 0", sandbox="gpu1", host="h")
    intent, done = audit.entries(log.path)
    assert (intent.event, intent.action, intent.summary) == ("intent", "run", "ls")
    assert (intent.sandbox, intent.host, intent.face) == ("gpu1", "h", "cli")
    assert (done.event, done.outcome, done.id) == ("outcome", "exit 0", intent.id)
    assert audit.verify(log.path).ok


def test_what_fails_is_noted_with_its_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(RefusedError), acts.act(MACHINE, "reset", "x", mask=str):
        raise RefusedError("no")
    noted = audit.entries(acts.log_path())
    assert [entry.outcome for entry in noted] == ["", "error refused"]


def test_only_its_owner_can_read_it(log: AuditLog) -> None:
    log.begin("run", "ls")
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(log.path.parent.stat().st_mode) == 0o700


def test_secrets_are_masked_before_they_are_noted(tmp_path: Path) -> None:
    own = AuditLog(tmp_path / "a.jsonl", mask=lambda text: text.replace("pass", "*"))
    own.begin("run", "login pass")
    assert "pass" not in own.path.read_text("utf-8")


@pytest.mark.parametrize("harm", ["changed", "removed", "added", "no entry"])
def test_a_log_that_was_tampered_with_is_reported(log: AuditLog, harm: str) -> None:
    for number in range(5):
        log.begin("run", str(number))
    lines = log.path.read_text("utf-8").splitlines()
    if harm == "changed":
        lines[2] = lines[2].replace('"run"', '"ran"')
    elif harm == "removed":
        del lines[2]
    elif harm == "added":
        lines.insert(2, lines[1])
    else:
        lines[2] = "{}"
    log.path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    verdict = audit.verify(log.path)
    assert not verdict.ok
    assert "audit.jsonl:" in verdict.broken[0]


def test_many_processes_write_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, 50)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)
    verdict = audit.verify(path)
    assert (verdict.ok, verdict.entries, verdict.open_intents) == (True, 400, 0)


def test_the_chain_goes_on_over_a_rotation(log: AuditLog) -> None:
    written = 0
    while not (log.path.parent / "audit.jsonl.2").exists():
        log.begin("run", "x" * 399)
        written += 1
    verdict = audit.verify(log.path)
    assert (verdict.ok, verdict.entries) == (True, written)
    assert log.path.stat().st_size < audit.ROTATE_BYTES
    (log.path.parent / "audit.jsonl.1").unlink()
    assert not audit.verify(log.path).ok


def test_where_nothing_can_be_noted_nothing_is_destroyed(
    mounts: Mounts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    mounts.tmpfs(folder, "size=64k")
    path = acts.log_path()
    mounts.do(lambda: AuditLog(path).begin("run", "ls"))
    mounts.fill(folder)
    before = mounts.do(path.read_bytes)
    done: list[str] = []

    def act(action: str) -> None:
        with acts.act(MACHINE, action, "x" * 4000, mask=str):
            done.append(action)

    def reset_often() -> None:
        for _ in range(100):
            act("reset")

    with pytest.raises(RefusedError, match=r"audit log .* cannot be written: No space"):
        mounts.do(reset_often)
    assert set(done) <= {"reset"}
    mounts.do(lambda: act("run"))  # what destroys nothing is done all the same
    assert done[-1] == "run"
    after = mounts.do(path.read_bytes)
    assert after.startswith(before)
    assert all(json.loads(line) for line in after.splitlines())


def test_a_process_that_is_killed_leaves_an_open_intent(log: AuditLog) -> None:
    code = (
        "import os, signal, sys, pathlib\n"
        "from sandbox_ops.guard.audit import AuditLog\n"
        "AuditLog(pathlib.Path(sys.argv[1])).begin('stop', 'remote-1')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, log.path], check=False, timeout=30)
    log.end(log.begin("run", "ls"), "run", "exit 0")
    verdict = audit.verify(log.path)
    assert (verdict.ok, verdict.entries, verdict.open_intents) == (True, 3, 1)


def test_a_log_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no audit log yet"):
        audit.verify(tmp_path / "none")
