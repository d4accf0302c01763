"""Rows about what guards cost: the audit log, and masking what is shown."""

import contextlib
import os
import tempfile
from collections.abc import Iterator

from bench import OURS, Bench, opened, run_true
from measure import Beside, Row, compared, interleaved, once, seconds

from sandbox_ops import Sandbox
from sandbox_ops.guard import acts
from sandbox_ops.text import clean, paging, remote_text
from sandbox_ops.text.redaction import Redactor

_LOG_BYTES = 10_000_000
_ACTS = 300


def guards(bench: Bench) -> Iterator[Row]:
    """Say what a command and a log cost with their guards, and without."""
    with (
        tempfile.TemporaryDirectory() as state,
        _state_folder(state),
        opened(bench.server) as sandbox,
    ):
        yield _warm_command(sandbox, bench.rounds)
        yield _one_act(sandbox)
    yield _redaction(bench)


@contextlib.contextmanager
def _state_folder(folder: str) -> Iterator[None]:
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = folder
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_STATE_HOME"]
        else:
            os.environ["XDG_STATE_HOME"] = before


def _warm_command(sandbox: Sandbox, rounds: int) -> Row:
    noting = acts.begin

    def without() -> None:
        setattr(acts, "begin", lambda *_, **__: None)  # noqa: B010 - as if nothing were noted
        try:
            run_true(sandbox)
        finally:
            setattr(acts, "begin", noting)  # noqa: B010

    run_true(sandbox)
    contenders = {OURS: lambda: run_true(sandbox), "without the audit log": without}
    medians = interleaved(contenders, rounds * 4)
    goals = {"without the audit log": 1.05}
    return compared('`Sandbox.run("true")`, noted', medians, goals)


def _one_act(sandbox: Sandbox) -> Row:
    command = "python3 train.py --steps 500000"

    def noted() -> None:
        for _ in range(_ACTS):
            with acts.noted(sandbox.config, "run", command, mask=remote_text.masked):
                pass

    took_s = once(noted) / _ACTS
    goal = Beside("a bound", "1 ms", took_s / 1e-3, "at most 1x", met=took_s <= 1e-3)
    return Row("an act in the audit log, before and after", seconds(took_s), (goal,))


def _redaction(bench: Bench) -> Row:
    lines = (
        f"step {n}/500000 loss={1 / (n + 1):.4f} lr=3e-4 grad_norm=1.02 tokens/s=18234\n"
        for n in range(_LOG_BYTES // 60)
    )
    data = "".join(lines).encode()[:_LOG_BYTES]
    remote_text.protect({"BENCHMARK_SECRET": "a-secret-that-is-not-there"})
    Redactor({"x": "a-secret-that-is-not-there"}).mask(data[:1000])
    contenders = {
        OURS: lambda: paging.shown(data),
        "without masking": lambda: clean.collapse(clean.clean(data)),
    }
    medians = interleaved(contenders, bench.fewer(5))
    return compared("10 MB of log made safe to show", medians, {"without masking": 1.2})
