"""doctor: every check between here and a training, each with what fixes it."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sandbox_ops.config.sources import Origin
from sandbox_ops.errors import ConfigError, ConnectError, NextStep, SandboxError
from sandbox_ops.machine import environment, jobs, own_scripts, repo, ssh_session
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.machine.ssh_session import SessionFacts
from sandbox_ops.models import MachineStatus, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.remote.script_replies import Reply
from sandbox_ops.workflows import preflight

_SKEW_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: `result` is "ok", "warn" or "fail"; `fix` a command or a sentence."""

    name: str
    result: str
    detail: str
    fix: str = ""


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
        checks = [asdict(check) for check in self.checks]
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
    except (ConnectError, ConfigError) as error:
        fix = _cure(error) or f"Try it by hand: ssh {sandbox.config.host} true"
        failed = _check("connection", "fail", error.message, fix)
        return DoctorReport(
            sandbox=sandbox.config.name, checks=(*configuration(origins or {}), failed)
        )
    checks = [
        *configuration(origins or {}),
        _check("connection", "ok", f"{machine.get('user')}@{machine.get('hostname')}"),
        login(machine),
        workspace(machine, sandbox.config.workspace),
        disk(status),
        git(machine),
        *ssh_environment(session),
        *_project(sandbox, project),
        gpu(machine, status),
        python(machine),
        clock(machine, middle),
        leftovers(status),
    ]
    return DoctorReport(sandbox=sandbox.config.name, checks=tuple(checks))


def _cure(error: SandboxError) -> str:
    """Return the hints of an error, but for the one to ask us: somebody just did."""
    steps = (hint for hint in error.hints if getattr(hint, "verb", "") != "doctor")
    return "\n".join(map(str, steps))


def configuration(origins: Mapping[str, Origin]) -> tuple[Check, ...]:
    """Return where the settings of the sandbox are from: each source once. Pure."""
    if not origins:
        return ()
    fields: dict[str, list[str]] = {}
    for field, origin in origins.items():
        line = f" (line {origin.line})" if origin.line else ""
        fields.setdefault(origin.source, []).append(f"{field}{line}")
    detail = "; ".join(
        f"{', '.join(each)} from {where}" for where, each in fields.items()
    )
    return (_check("configuration", "ok", detail),)


def login(machine: Reply) -> Check:
    """Return whether commands find what a login finds. Pure."""
    path = machine.get("path")
    if not machine.get("bash"):
        fix = "Install bash there: commands are run by sh instead"
        return _check("login environment", "warn", f"no bash; PATH={path}", fix)
    return _check("login environment", "ok", f"PATH={path}")


def ssh_environment(session: SessionFacts | None) -> Iterable[Check]:
    """Return what became of SetEnv, SendEnv and ForwardAgent, if asked for. Pure."""
    if session is None:
        return
    detail = [f"agent {session.agent} forwarded"] if session.agent else []
    fixes = []
    if accepted := [name for name in session.sent if name not in session.refused]:
        detail.append(f"sent: {', '.join(accepted)}")
    if session.refused:
        detail.append(f"not accepted: {', '.join(session.refused)}")
        fixes.append(f"In its sshd_config: AcceptEnv {' '.join(session.refused)}")
    if session.agent_refused:
        detail[0] = f"agent {session.agent} not taken"
        fixes.append("In its sshd_config: AllowAgentForwarding yes")
    result = "warn" if fixes else "ok"
    yield _check("ssh environment", result, "; ".join(detail), "; ".join(fixes))


def workspace(machine: Reply, path: str) -> Check:
    """Return whether projects can be put there. Pure."""
    user = machine.get("user")
    if machine.get("writable") == "yes":
        return _check("workspace", "ok", path)
    if machine.get("there") == "yes":
        fix = f"There: sudo chown {user} {path}. Or set `workspace` to another folder."
        return _check("workspace", "fail", f"{user} cannot write to {path}", fix)
    fix = (
        f"{NextStep('setup', purpose='Make it')}; if it may not: sudo mkdir -p {path} && "
        f"sudo chown {user} {path}. Or set `workspace` to a folder of yours."
    )
    return _check("workspace", "warn", f"{path} is not there yet", fix)


def disk(status: MachineStatus) -> Check:
    """Return whether there is room. Pure."""
    if status.disk is None:
        return _check("disk", "warn", "not known: df did not say")
    if short := preflight.disk_low(status.disk):
        command = f"du -xh --max-depth=2 {status.disk.path}"
        fix = str(NextStep("run", {"command": command}, "Make room"))
        return _check("disk", "fail", short, fix)
    gib = status.disk.free_bytes / (1 << 30)
    return _check("disk", "ok", f"{gib:.1f} GiB free at {status.disk.path}")


def git(machine: Reply) -> Check:
    """Return whether git is there. Pure."""
    if version := machine.get("git"):
        lfs = "with git-lfs" if machine.get("git_lfs") else "without git-lfs"
        return _check("git", "ok", f"{version}, {lfs}")
    return _check("git", "fail", "not installed", "There: sudo apt-get install git")


def gpu(machine: Reply, status: MachineStatus) -> Check:
    """Return whether GPUs can be seen. Pure."""
    if status.gpus:
        names = ", ".join(f"{gpu.index}: {gpu.name}" for gpu in status.gpus)
        return _check("gpu", "ok", names)
    if machine.get("nvidia_smi"):
        fix = "Is the driver loaded? There: nvidia-smi; sudo dmesg | grep -i nvrm"
        return _check("gpu", "fail", status.gpu_error or "nvidia-smi shows none", fix)
    fix = "Install the NVIDIA driver, if the machine has a GPU"
    return _check("gpu", "warn", "no nvidia-smi: trainings run on the CPU", fix)


def python(machine: Reply) -> Check:
    """Return what can make an environment. Pure."""
    uv, version = machine.get("uv_version"), machine.get("python_version")
    detail = ", ".join(filter(None, (uv, version))) or "neither uv nor python3"
    if uv:
        return _check("python", "ok", detail)
    # not everybody's project is one of Python
    return _check("python", "warn", f"{detail}, no uv", str(environment.INSTALL_UV))


def clock(machine: Reply, local_s: float) -> Check:
    """Return whether the clocks agree; ages are reckoned by the machine's. Pure."""
    skew = int(machine.get("now") or local_s) - local_s
    detail = f"{skew:+.0f} s against this machine"
    if abs(skew) <= _SKEW_S:
        return _check("clock", "ok", detail)
    return _check("clock", "warn", detail, "There: sudo timedatectl set-ntp true")


def leftovers(status: MachineStatus) -> Check:
    """Return what runs without need. Pure."""
    left = [job.id for job in status.jobs if job.state.ended and job.survivors]
    if left:
        fix = "; ".join(NextStep("stop", {"job": each}).command for each in left)
        detail = f"ended jobs left processes running: {', '.join(left)}"
        return _check("leftovers", "warn", detail, fix)
    live = len(preflight.live(status.jobs))
    others = len(status.foreign)
    return _check("leftovers", "ok", f"none; {live} jobs live, {others} not ours")


def _look(sandbox: Sandbox) -> Reply:
    workspace = sandbox.config.workspace
    return own_scripts.ask(sandbox, "doctor_look", workspace, doing="look around")


def _project(sandbox: Sandbox, project: Project | None) -> Iterable[Check]:
    """Check the repository and the clone, if there is a project at all."""
    if project is None or not project.name:
        return
    try:
        tip = repo.access(sandbox, project.repo, project.branch)
        yield _check("repository", "ok", f"{project.branch or 'HEAD'} at {tip[:10]}")
    except SandboxError as error:
        yield _check("repository", "fail", error.message, error.hint)
    try:
        yield _clone(repo.look(sandbox, project))
    except SandboxError as error:
        yield _check("clone", "fail", error.message, error.hint)


def _clone(tree: repo.Tree | None) -> Check:
    if tree is None:
        return _check("clone", "warn", "not there yet", NextStep("setup").command)
    place = f"{tree.path} at {(tree.head or 'no commit')[:10]}"
    if tree.edits or tree.unpushed or tree.operation or tree.lock:
        fix = NextStep("reset").command
        return _check("clone", "warn", f"{place}, changed there", fix)
    return _check("clone", "ok", place)


def _check(name: str, result: str, detail: str, fix: str = "") -> Check:
    return Check(name=name, result=result, detail=detail, fix=fix)
