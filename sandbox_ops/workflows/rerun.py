"""rerun: the same commit, command, settings and environment again, and what is not the same."""

import base64
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import NextStep, NotFoundError, RefusedError
from sandbox_ops.machine import environment, files, repo
from sandbox_ops.machine.environment import Environment
from sandbox_ops.machine.repo import Tree
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, Project
from sandbox_ops.models.runs import Run, reference, text
from sandbox_ops.workflows import record, run_find, run_sync
from sandbox_ops.workflows.own_tree import OtherCode
from sandbox_ops.workflows.train import train

OURS = frozenset(record.ENV_NAMES) | {
    "CUDA_VISIBLE_DEVICES",
    "PYTHONPATH",
    "UV_NO_SYNC",
}
"""Variables that every run has, or that follow from what it claims and where it runs."""

_PATCH_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RerunReport:
    """The job that was started.

    Attributes:
        of: The run that it repeats.
        differs: What could not be the same, a line each.
    """

    sandbox: str
    job: Job
    of: Run
    differs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Always: whatever is wrong is an error."""
        return True

    def as_json(self) -> dict[str, Any]:
        """The report as `rerun --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "job": self.job.as_json(),
            "of": self.of.job.id,
            "differs": list(self.differs),
            "warnings": list(self.warnings),
        }


def rerun(
    sandbox: Sandbox,
    project: Project,
    run: str,
    *,
    name: str = "",
    env: Mapping[str, str] | None = None,
    time_s: float | None = None,
    force: Sequence[str] = (),
) -> RerunReport:
    """Start a run again as it was, with the commit, command and settings of its record.

    Args:
        sandbox: The machine to run it on; the run may have been another's.
        project: Whose runs.
        run: Its id, number or name, `last`, `t1/3`, or `gpu1:remote-3`.
        name: Of the new job; "": that of the run.
        env: Variables for it: the values of the first time are recorded nowhere.
        time_s: The new job's deadline.
        force: Objections of `train` that only warn, by their names.

    Raises:
        NotFoundError: There is no such run, or no clone.
        RefusedError: The commit, or the edits it ran with, cannot be had there; or
            `train` refuses.
    """
    known = run_sync.known_runs([sandbox], project)
    names = tuple({each.sandbox for each in known.runs})
    one = run_find.find(known.runs, reference(run, names), sandbox.config.name)
    command = text(one.record.get("command"))
    if not command or not one.commit:
        raise RefusedError(
            f"the record of {one.job.id} names no commit or no command",
            NextStep("show", {"run": one.job.id}, "See it"),
        )
    nodes = one.record.get("nodes")
    if isinstance(nodes, dict):
        raise _over_several(one, nodes)
    code = _code(sandbox, repo.cloned(sandbox, project), one, known)
    path = repo.place(sandbox, project)
    installed = environment.look(sandbox, project, path)
    report = train(
        sandbox,
        project,
        command=command,
        is_filled=True,
        code=code,
        settings=one.settings,
        name=name or one.job.name,
        env=env,
        time_s=time_s,
        gpus=_number_of_gpus(one.record),
        nodes=nodes if isinstance(nodes, int) else 0,
        force=(*force, "stale-code"),  # the code is the run's, whatever is newest here
    )
    gpus = [gpu for gpu in (one.record.get("gpus") or []) if isinstance(gpu, dict)]
    return RerunReport(
        sandbox=sandbox.config.name,
        job=report.job,
        of=one,
        differs=tuple(
            differences(
                one.record,
                installed,
                sandbox.config.label,
                environment.variables(project, env),
            )
        )
        + _other_gpus(gpus, report.job),
        warnings=tuple(w for w in report.warnings if not w.startswith("stale-code:")),
    )


def _number_of_gpus(before: Mapping[str, Any]) -> int | None:
    """Return how many a run had, or waited for; None where its record does not say."""
    had, wanted = before.get("gpus"), before.get("gpus_wanted")
    if isinstance(had, list) and (had or type(wanted) is not int):
        return len(had)
    return wanted if type(wanted) is int and wanted >= 0 else None


def _over_several(run: Run, nodes: Mapping[str, Any]) -> RefusedError:
    """Return the refusal to start again one node of a run over several machines."""
    machines = nodes.get("machines")
    names = list(map(str, machines)) if isinstance(machines, list) else []
    return RefusedError(
        f"{run.job.id} was one node of a run over {', '.join(names)}",
        NextStep(
            "train",
            {
                "on": ",".join(names),
                "nodes": len(names),
                "name": run.job.name,
                "command": text(run.record.get("command")),
            },
            "Start it on all of them again",
        ),
    )


def _code(
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


def _other_gpus(before: Sequence[Mapping[str, Any]], job: Job) -> tuple[str, ...]:
    then = tuple(gpu.get("index") for gpu in before)
    if then == job.gpus:
        return ()
    shown = " ".join(f"{gpu.get('index')} ({gpu.get('name')})" for gpu in before)
    now = " ".join(map(str, job.gpus))
    return (f"GPUs: {shown or 'none'} then, {now or 'none'} now",)
