"""setup: a clone, its environment and its logs folder on the sandbox, checked."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sandbox_ops.machine import environment, leases, repo
from sandbox_ops.machine.environment import TorchCheck
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import CommandResult, EndKind, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.workflows import outputs, ssh_sync
from sandbox_ops.workflows.acting import acts_as
from sandbox_ops.workflows.sync_refusals import refuse_other

_INSTALL_S = 4 * 3600
_VERIFY_S = 900
_SHOWN_LINES = 12
_NOTHING_DECLARED = "no uv.lock, environment.yml, requirements.txt or pyproject.toml"
_NO_TORCH_NEEDED = (
    "Install one that can. A project that trains without it says in sandbox.toml what has "
    'to work instead: below [project], verify = ["COMMAND"], or verify = [] for nothing'
)
_UNCHANGED = "everything: nothing changed since the last good setup"

OnStep = Callable[["Step"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a setup.

    Attributes:
        result: "ok" (nothing to do), "changed" or "failed".
        detail: What was done, a warning, or why it failed.
    """

    name: str
    result: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupReport:
    """What a setup did on a machine; it ends with the first step that failed.

    Attributes:
        not_checked: What was not looked at, each with the reason: `ready` says no more
            than what was.
    """

    sandbox: str = ""
    steps: tuple[Step, ...]
    not_checked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no step failed."""
        return all(step.result != "failed" for step in self.steps)

    def as_json(self) -> dict[str, Any]:
        """The report as `setup --json` shows it."""
        steps = [asdict(step) for step in self.steps]
        return {
            "sandbox": self.sandbox,
            "steps": steps,
            "not_checked": list(self.not_checked),
        }


@acts_as(lambda _options: "setup")
def setup(
    sandbox: Sandbox,
    project: Project,
    *,
    via: str = "",
    on_step: OnStep | None = None,
    cancel: CancelToken | None = None,
) -> SetupReport:
    """Clone the project, install its environment, make logs/, and verify.

    What is as the last good setup left it is only looked at.

    Args:
        sandbox: The machine.
        project: What to set up.
        via: "ssh": the first clone's commits go over the connection; no git server is
            asked. "" and "git": by way of the git remote.
        on_step: Told each step as it ends.
        cancel: Ends what it waits for, and lets it begin nothing more.

    Raises:
        DeniedError: No access to the repository, or to the workspace.
        RefusedError: No room, no network, no uv; or something else stands there, or
            somebody else changes the tree now.
        NotFoundError: No git there, or no such branch.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    ssh_sync.check_via(via)
    steps = _Steps(on_step)
    path = repo.place(sandbox, project)
    tree = repo.look(sandbox, project)
    if tree is not None:
        refuse_other(tree, project, sandbox.config.label)
        if environment.look(sandbox, project, path).is_current:
            for name in ("clone", "logs", "environment", "verify"):
                steps.take(name, lambda: ("ok", "unchanged"))
            return SetupReport(
                sandbox=sandbox.config.name,
                steps=tuple(steps.taken),
                not_checked=(_UNCHANGED,),
            )
    with leases.held(sandbox, path, "setup") as held:
        steps.take("clone", lambda: _clone(held, project, via))
    with leases.held(sandbox, path, "setup") as held:  # of the clone that is there now
        steps.take("logs", lambda: _logs(held, path))
        installed = steps.take(
            "environment", lambda: _install(held, project, path, steps)
        )
        if installed and steps.take(
            "verify", lambda: _verify(held, project, path, steps)
        ):
            environment.look(held, project, path, record=True)
    return SetupReport(
        sandbox=sandbox.config.name,
        steps=tuple(steps.taken),
        not_checked=tuple(steps.not_checked),
    )


class _Steps:
    """The steps so far, each timed."""

    def __init__(self, on_step: OnStep | None) -> None:
        self.taken: list[Step] = []
        self.not_checked: list[str] = []
        self._on_step = on_step

    def take(self, name: str, work: Callable[[], tuple[str, str]]) -> bool:
        """Do one step's work, which returns result and detail; say whether it is good."""
        begin = time.monotonic()
        result, detail = work()
        seconds = round(time.monotonic() - begin, 3)
        step = Step(name=name, result=result, seconds=seconds, detail=detail)
        self.taken.append(step)
        if self._on_step is not None:
            self._on_step(step)
        return result != "failed"


def _clone(sandbox: Sandbox, project: Project, via: str) -> tuple[str, str]:
    """Clone, or complete what a setup that was cut off may have left half done."""
    path = repo.place(sandbox, project)
    tree = repo.look(sandbox, project)
    if tree is None:
        make = ssh_sync.clone if via == "ssh" else repo.clone
        head = make(sandbox, project)
        repo.settle(sandbox, path, head)
        return "changed", f"{path} at {head[:10]}"
    if tree.head and not outputs.edits_without(tree.edits, outputs.patterns(project)):
        repo.settle(sandbox, path, tree.head, outputs.patterns(project))
    return "ok", f"{path} at {(tree.head or 'no commit')[:10]}"


def _logs(sandbox: Sandbox, path: str) -> tuple[str, str]:
    changed = environment.link_logs(sandbox, path)
    return ("changed" if changed else "ok"), f"{path}/logs"


def _install(
    sandbox: Sandbox, project: Project, path: str, steps: _Steps
) -> tuple[str, str]:
    commands = environment.look(sandbox, project, path).commands
    if not commands:
        steps.not_checked.append(f"the environment: {_NOTHING_DECLARED}")
        return "ok", f"{_NOTHING_DECLARED}: nothing to install"
    for command in commands:
        result = sandbox.run(
            command,
            cwd=path,
            timeout_s=_INSTALL_S,
            description=f"setup: {command}",
            env=environment.variables(project),
            environment=environment.use(project, path),
        )
        if not result.ok:
            return "failed", failure(command, result)
    return "changed", "; ".join(commands)


def _verify(
    sandbox: Sandbox, project: Project, path: str, steps: _Steps
) -> tuple[str, str]:
    check = environment.torch(sandbox, path) if project.verify is None else None
    steps.not_checked += not_verified(project, check)
    if check is not None:
        return judge(check)
    for command in project.verify or ():
        result = sandbox.run(
            command,
            cwd=path,
            timeout_s=_VERIFY_S,
            description=f"verify: {command}",
            env=environment.variables(project),
            environment=environment.use(project, path),
        )
        if not result.ok:
            return "failed", failure(command, result)
    return "ok", "; ".join(project.verify or ())


def not_verified(project: Project, check: TorchCheck | None) -> list[str]:
    """Return what a verification does not look at, each with the reason. Pure."""
    if check is None:
        if not project.verify:
            return ["imports and the GPU: `verify` is empty"]
        return ["the GPU: only what `verify` looks at"]
    reasons = []
    if not check.has_gpu:
        reasons.append("the GPU: this machine has none, or no driver")
    if not check.version:
        reasons.append("imports: torch is not installed, and no `verify` is configured")
    else:
        reasons.append("imports: only that of torch")
    return reasons


def judge(check: TorchCheck) -> tuple[str, str]:
    """Return the result and the detail that torch's check means. Pure.

    A torch that cannot use the GPU that is there would train for days on the CPU.
    """
    if not check.version:
        return "ok", "torch is not installed: nothing to verify"
    if check.works:
        return "ok", f"torch {check.version} computes on the GPU"
    if check.has_gpu:
        return "failed", (
            f"torch {check.version} cannot use the GPU: {check.why}\n{_NO_TORCH_NEEDED}"
        )
    return "ok", f"warning: no GPU here, torch {check.version} computes on the CPU"


def failure(command: str, result: CommandResult) -> str:
    """Return why a command failed: its end, and the end of its output. Pure."""
    how = {
        EndKind.TIMED_OUT: "took too long",
        EndKind.CONNECTION_LOST: f"lost the connection; {result.job.id or 'it'} may still run",
    }.get(result.end, f"exit code {result.exit_code}")
    lines = (result.stderr.text or result.stdout.text).strip().splitlines()
    return "\n".join([f"{command}: {how}", *lines[-_SHOWN_LINES:]])
