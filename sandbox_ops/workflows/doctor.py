"""doctor: every check between here and a training, each with what fixes it."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox_ops.config.sources import Origin
from sandbox_ops.errors import (
    ConfigError,
    ConnectError,
    NextStep,
    RefusedError,
    SandboxError,
)
from sandbox_ops.machine import jobs, own_scripts, repo, ssh_session
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import MachineStatus, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.remote.script_replies import Reply
from sandbox_ops.workflows import doctor_checks, doctor_slurm
from sandbox_ops.workflows.doctor_checks import Check, check


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorReport:
    """All checks of a machine, in the order in which they depend on each other."""

    sandbox: str = ""
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing fails; warnings are allowed."""
        return all(check.result != "fail" for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """The report as `doctor --json` shows it."""
        checks = [check.as_json() for check in self.checks]
        return {"sandbox": self.sandbox, "ok": self.ok, "checks": checks}


def doctor(
    sandbox: Sandbox,
    project: Project | None = None,
    origins: Mapping[str, Origin] | None = None,
    *,
    cancel: CancelToken | None = None,
) -> DoctorReport:
    """Check everything that can be checked; raises nothing for what it finds.

    Args:
        sandbox: The machine.
        project: Also its repository and its clone.
        origins: Where each setting of the sandbox is from, by its field.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    begin = time.time()
    try:
        machine = _look(sandbox)
        middle = (begin + time.time()) / 2
        session = ssh_session.look(sandbox)
        status = jobs.status(sandbox, path=sandbox.config.workspace, tails=0)
    except (ConnectError, ConfigError, RefusedError) as error:
        hints = _own_hints(error) or (doctor_checks.by_hand(sandbox.config),)
        refused = isinstance(error, RefusedError)  # it answered, and runs nothing
        name = "commands" if refused else "connection"
        failed = check(name, "fail", error.message, *(() if refused else hints))
        return DoctorReport(
            sandbox=sandbox.config.name,
            checks=(*doctor_checks.configuration(origins or {}), failed),
        )
    checks = [
        *doctor_checks.configuration(origins or {}),
        doctor_checks.connection(machine, sandbox.config),
        *doctor_checks.system(machine),
        doctor_checks.login(machine),
        doctor_checks.workspace(machine, sandbox.config.workspace),
        doctor_checks.disk(status),
        doctor_checks.git(machine),
        *doctor_checks.ssh_environment(session),
        *_project(sandbox, project),
        *_engine(sandbox, machine, status),
        doctor_checks.python(machine),
        doctor_checks.clock(machine, middle),
        doctor_checks.leftovers(status),
    ]
    return DoctorReport(sandbox=sandbox.config.name, checks=tuple(checks))


def _own_hints(error: SandboxError) -> tuple[str | NextStep, ...]:
    """Return the hints of an error, without the one that names `doctor` itself."""
    return tuple(h for h in error.hints if getattr(h, "verb", "") != "doctor")


def _look(sandbox: Sandbox) -> Reply:
    workspace = sandbox.config.workspace
    return own_scripts.ask(sandbox, "doctor_look", workspace, doing="look around")


def _engine(sandbox: Sandbox, machine: Reply, status: MachineStatus) -> Iterable[Check]:
    """Check what starts jobs: the machine's own GPUs, or the cluster behind it."""
    if not sandbox.config.by_slurm:
        yield doctor_checks.gpu(machine, status)
        return
    options = sandbox.config.slurm.options
    doing = "look at Slurm"
    yield from doctor_slurm.checks(
        own_scripts.ask(sandbox, "slurm_look", *options, doing=doing)
    )


def _project(sandbox: Sandbox, project: Project | None) -> Iterable[Check]:
    """Check the repository and the clone, if there is a project at all."""
    if project is None or not project.name:
        return
    try:
        tip = repo.access(sandbox, project.repo, project.branch)
        yield check("repository", "ok", f"{project.branch or 'HEAD'} at {tip[:10]}")
    except SandboxError as error:
        yield check("repository", "fail", error.message, *error.hints)
    try:
        yield doctor_checks.clone(repo.look(sandbox, project))
    except SandboxError as error:
        yield check("clone", "fail", error.message, *error.hints)
