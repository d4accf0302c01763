"""What a run was, to start it again: which run is meant, its code, and what is not the same."""

import base64
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import NextStep, NotFoundError, RefusedError
from sandbox_ops.machine import files, repo
from sandbox_ops.machine.environment import Environment
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project
from sandbox_ops.models.runs import Run, reference, text
from sandbox_ops.workflows import record, run_find, run_sync
from sandbox_ops.workflows.own_tree import OtherCode

OURS = frozenset(record.ENV_NAMES) | {
    "CUDA_VISIBLE_DEVICES",
    "PYTHONPATH",
    "UV_NO_SYNC",
}
"""Variables that every run has, or that follow from what it claims and where it runs."""

_PATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRun:
    """The run that is meant, among all that are known.

    Attributes:
        machines: Over which it went, in the order of the ranks; none where it was on one.
        nodes: Over how many nodes of a Slurm cluster it went; 0: over one.
    """

    run: Run
    known: run_sync.Known
    machines: tuple[str, ...] = ()
    nodes: int = 0

    @property
    def command(self) -> str:
        """What it ran, with all settings filled in."""
        return text(self.run.record.get("command"))


def find(sandbox: Sandbox, project: Project, run: str) -> FoundRun:
    """Return the run that is meant, with what it takes to start it again.

    Args:
        sandbox: The machine that an id belongs to where none is named.
        project: Whose runs.
        run: Its id, number or name, `last`, `t1/3`, or `gpu1:remote-3`.

    Raises:
        NotFoundError: There is no such run.
        RefusedError: Its record does not say what it ran.
    """
    known = run_sync.known_runs([sandbox], project)
    names = tuple({each.sandbox for each in known.runs})
    one = run_find.find(known.runs, reference(run, names), sandbox.config.name)
    if not text(one.record.get("command")) or not one.commit:
        raise RefusedError(
            f"the record of {one.job.id} names no commit or no command",
            NextStep("show", {"run": one.job.id}, "See it"),
        )
    nodes = one.record.get("nodes")
    return FoundRun(
        run=one,
        known=known,
        machines=machines_of(one),
        nodes=nodes if isinstance(nodes, int) else 0,
    )


def machines_of(run: Run) -> tuple[str, ...]:
    """Return the machines of a run over several, in the order of the ranks."""
    nodes = run.record.get("nodes")
    machines = nodes.get("machines") if isinstance(nodes, dict) else None
    return tuple(map(str, machines)) if isinstance(machines, list) else ()


def code_of(
    sandbox: Sandbox, clone: Tree, run: Run, known: run_sync.Known
) -> OtherCode | None:
    """Return the code of the run, for a tree of its own; None where the clone is just that.

    Raises:
        RefusedError: The commit, or the edits on top of it, cannot be had there.
    """
    is_dirty = bool(run.record.get("dirty"))
    if clone.head == run.commit and not clone.edits and not is_dirty:
        return None
    repo.need_commit(sandbox, clone.path, run.commit)
    if not is_dirty:
        return OtherCode(commit=run.commit)
    if run.store not in known.stores or run.sandbox != sandbox.config.name:
        raise RefusedError(
            f"{run.job.id} ran with edits that were not committed, and they are in its "
            f"folder on {run.sandbox}",
            "Commit them, sync, and train again.",
        )
    patch = _patch(sandbox, run)
    return OtherCode(commit=run.commit, patch_of=run.job.id, patch=patch)


def _patch(sandbox: Sandbox, run: Run) -> bytes:
    """Return the edits that a run had.

    Raises:
        RefusedError: They are not in its folder.
    """
    folder = run.job.log_path.rpartition("/")[0]
    for name in ("dirty.patch", "dirty.patch.base64"):
        with contextlib.suppress(NotFoundError):
            data = files.read_bytes(sandbox, f"{folder}/{name}", 0, _PATCH_BYTES)
            return base64.b64decode(data) if name.endswith("base64") else data
    raise RefusedError(
        f"{run.job.id} ran with edits that were not committed, and they are not in its "
        "folder any more, or were too large for it",
        "Commit them, sync, and train again.",
    )


def differences(
    before: Mapping[str, Any],
    installed: Environment,
    machine: str,
    env: Mapping[str, str],
) -> list[str]:
    """Return what of a record is not the same now, a line each. Pure.

    Args:
        before: The run record.
        installed: What is there now.
        machine: What the machine is called.
        env: The variables that are given now.
    """
    now = {
        "sandbox": machine,
        "hostname": installed.hostname,
        "python": installed.python_version,
        "driver": installed.driver or None,
    }
    names = {"sandbox": "machine", "driver": "GPU driver"}
    lines = [
        f"{names.get(key, key)}: {before.get(key) or 'none'} then, {value or 'none'} now"
        for key, value in now.items()
        if before.get(key) != value
    ]
    if before.get("environment") != installed.fingerprint:
        lines.append("environment: what the project installs is not what it was then")
    had = before.get("env_names")
    names_then = {str(each) for each in had} if isinstance(had, list) else set()
    if missing := sorted(names_then - OURS - set(env)):
        lines.append(
            f"variables: {', '.join(missing)} were given then, and are not now"
        )
    if names_in_both := sorted(names_then & set(env)):
        lines.append(
            f"variables: whether {', '.join(names_in_both)} have the values of then is not "
            "known: values are not recorded"
        )
    if added := sorted(set(env) - names_then):
        lines.append(f"variables: {', '.join(added)} are given now, and were not then")
    return lines


def other_gpus(run: Run, job: Job) -> tuple[str, ...]:
    """Return a line where a job has other GPUs than the run had. Pure."""
    before = [gpu for gpu in (run.record.get("gpus") or []) if isinstance(gpu, dict)]
    then = tuple(gpu.get("index") for gpu in before)
    if then == job.gpus:
        return ()
    shown = " ".join(f"{gpu.get('index')} ({gpu.get('name')})" for gpu in before)
    now = " ".join(map(str, job.gpus))
    return (f"GPUs: {shown or 'none'} then, {now or 'none'} now",)
