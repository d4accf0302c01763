"""What doctor makes of the answers: a check each, with what fixes it. Pure."""

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from sandbox_ops.config.sources import Origin
from sandbox_ops.errors import NextStep
from sandbox_ops.machine import environment, repo
from sandbox_ops.machine.ssh_session import SessionFacts
from sandbox_ops.models import MachineStatus, SandboxConfig
from sandbox_ops.models.settings import FABRIC, LOCAL
from sandbox_ops.remote.script_replies import Reply
from sandbox_ops.workflows import preflight

_SKEW_S = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: `result` is "ok", "warn" or "fail"; `hints` say how to fix it."""

    name: str
    result: str
    detail: str
    hints: tuple[str | NextStep, ...] = ()

    @property
    def fix(self) -> str:
        """The hints as text, a line each, with steps as commands to type."""
        return "\n".join(map(str, self.hints))

    def aimed(self, aim: Callable[[str | NextStep], str | NextStep]) -> "Check":
        """Return the same with each hint as a face says it of this machine."""
        return replace(self, hints=tuple(map(aim, self.hints)))

    def as_json(self) -> dict[str, str]:
        """The check as `doctor --json` shows it."""
        return {
            "name": self.name,
            "result": self.result,
            "detail": self.detail,
            "fix": self.fix,
        }


def by_hand(config: SandboxConfig) -> str:
    """Return how a connection is tried without us. Pure."""
    if config.by_ssh:
        return f"Try it by hand: ssh {config.host} true"
    command_words = ("sh",) if config.link == LOCAL else config.link
    return f"Try it by hand: {shlex.join(command_words)} -c true"


def connection(machine: Reply, config: SandboxConfig) -> Check:
    """Return who we are there, and what carries our bytes where that is no SSH. Pure."""
    who = f"{machine.get('user')}@{machine.get('hostname')}"
    if config.link == FABRIC:
        return check("connection", "ok", who)
    if isinstance(config.link, str):
        return check("connection", "ok", f"{who}, by link {config.link}")
    carrier = shlex.join(config.link)
    return check(
        "connection", "ok", f"{who}, by `{carrier}`; jobs end with what it leads to"
    )


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
    return (check("configuration", "ok", detail),)


def system(machine: Reply) -> Iterable[Check]:
    """Return that what was never run on such a machine may fail there. Pure."""
    kernel = machine.get("kernel")
    if kernel and not kernel.startswith("Linux"):
        fix = "What holds there is in docs/reference/macos-and-bsd.md"
        yield check("system", "warn", f"{kernel}: support is experimental", fix)


def login(machine: Reply) -> Check:
    """Return whether commands find what a login finds. Pure."""
    path = machine.get("path")
    if not machine.get("bash"):
        fix = "Install bash there: commands are run by sh instead"
        return check("login environment", "warn", f"no bash; PATH={path}", fix)
    return check("login environment", "ok", f"PATH={path}")


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
    yield check("ssh environment", result, "; ".join(detail), "; ".join(fixes))


def workspace(machine: Reply, path: str) -> Check:
    """Return whether projects can be put there. Pure."""
    user = machine.get("user")
    if machine.get("writable") == "yes":
        return check("workspace", "ok", path)
    if machine.get("there") == "yes":
        fix = f"There: sudo chown {user} {path}. Or set `workspace` to another folder."
        return check("workspace", "fail", f"{user} cannot write to {path}", fix)
    by_root = (
        f"If it may not, there: sudo mkdir -p {path} && sudo chown {user} {path}. "
        "Or set `workspace` to a folder of yours."
    )
    step = NextStep("setup", purpose="Make it")
    return check("workspace", "warn", f"{path} is not there yet", step, by_root)


def disk(status: MachineStatus) -> Check:
    """Return whether there is room. Pure."""
    if status.disk is None:
        return check("disk", "warn", "not known: df did not say")
    if short := preflight.disk_low(status.disk):
        command = f"du -xh --max-depth=2 {status.disk.path}"
        step = NextStep("run", {"command": command}, "Make room")
        return check("disk", "fail", short, step)
    gib = status.disk.free_bytes / (1 << 30)
    return check("disk", "ok", f"{gib:.1f} GiB free at {status.disk.path}")


def git(machine: Reply) -> Check:
    """Return whether git is there. Pure."""
    if version := machine.get("git"):
        lfs = "with git-lfs" if machine.get("git_lfs") else "without git-lfs"
        return check("git", "ok", f"{version}, {lfs}")
    return check("git", "fail", "not installed", "There: sudo apt-get install git")


def gpu(machine: Reply, status: MachineStatus) -> Check:
    """Return whether GPUs can be seen. Pure."""
    if status.gpus:
        names = ", ".join(f"{gpu.index}: {gpu.name}" for gpu in status.gpus)
        return check("gpu", "ok", names)
    if machine.get("nvidia_smi"):
        fix = "Is the driver loaded? There: nvidia-smi; sudo dmesg | grep -i nvrm"
        return check("gpu", "fail", status.gpu_error or "nvidia-smi shows none", fix)
    fix = "Install the NVIDIA driver, if the machine has a GPU"
    return check("gpu", "warn", "no nvidia-smi: trainings run on the CPU", fix)


def python(machine: Reply) -> Check:
    """Return what can make an environment. Pure."""
    uv, version = machine.get("uv_version"), machine.get("python_version")
    detail = ", ".join(filter(None, (uv, version))) or "neither uv nor python3"
    if uv:
        return check("python", "ok", detail)
    # not everybody's project is one of Python
    return check("python", "warn", f"{detail}, no uv", environment.INSTALL_UV)


def clock(machine: Reply, local_s: float) -> Check:
    """Return whether the clocks agree; ages are reckoned by the machine's. Pure."""
    skew = int(machine.get("now") or local_s) - int(local_s)  # both cut to seconds
    detail = f"{skew:+d} s against this machine"
    if abs(skew) <= _SKEW_S:
        return check("clock", "ok", detail)
    return check("clock", "warn", detail, "There: sudo timedatectl set-ntp true")


def leftovers(status: MachineStatus) -> Check:
    """Return what runs without need. Pure."""
    left = [job.id for job in status.jobs if job.state.ended and job.survivors]
    if left:
        steps = (NextStep("stop", {"job": each}) for each in left)
        detail = f"ended jobs left processes running: {', '.join(left)}"
        return check("leftovers", "warn", detail, *steps)
    live = len(preflight.live(status.jobs))
    others = len(status.foreign)
    return check("leftovers", "ok", f"none; {live} jobs live, {others} not ours")


def clone(tree: repo.Tree | None) -> Check:
    """Return the state of the clone there. Pure."""
    if tree is None:
        return check("clone", "warn", "not there yet", NextStep("setup"))
    place = f"{tree.path} at {(tree.head or 'no commit')[:10]}"
    if tree.edits or tree.unpushed or tree.operation or tree.lock:
        step = NextStep("reset")
        return check("clone", "warn", f"{place}, changed there", step)
    return check("clone", "ok", place)


def check(name: str, result: str, detail: str, *hints: str | NextStep) -> Check:
    """Return a check, with what fixes it."""
    said = tuple(hint for hint in hints if hint)
    return Check(name=name, result=result, detail=detail, hints=said)
