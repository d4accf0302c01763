"""What a project's programs run in on the sandbox: found out, installed, checked.

An environment is known by a fingerprint of all that it depends on. Where that is what
was written down after the last good setup, there is nothing to do.
"""

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox_ops.errors import NextStep, RefusedError
from sandbox_ops.machine import own_scripts
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project
from sandbox_ops.remote import script_replies

_VERIFY_S = 600  # the first import of torch reads gigabytes
_PLAN_FORMAT = 1  # raise it when the commands below change: environments are renewed
_VENV = "[ -d .venv ] || python3 -m venv .venv"
_UV_VENV = "[ -d .venv ] || uv venv -q"
INSTALL_UV = NextStep(
    "run",
    {"command": "sh -c 'curl -LsSf https://astral.sh/uv/install.sh | sh'"},
    "Install it",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What a project needs, and what the sandbox has for it.

    Attributes:
        commands: What installs it; empty where nothing is declared.
        fingerprint: Of everything that it depends on, as it is now.
        recorded: The same as of the last good setup, or "".
        has_logs: Whether the logs folder is there, and out of git's sight.
        uv: Where uv is, or "".
        python_version: Of the project's environment, else of the machine.
        driver: Of the NVIDIA GPUs, or "".
        hostname: What the machine calls itself.
    """

    commands: tuple[str, ...]
    fingerprint: str
    recorded: str
    has_logs: bool
    uv: str
    python_version: str
    driver: str
    hostname: str

    @property
    def is_current(self) -> bool:
        """Whether the last good setup still holds."""
        return self.recorded == self.fingerprint and self.has_logs


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchCheck:
    """Whether the project's torch can compute on a GPU.

    Attributes:
        version: "" where torch is not installed.
        why: Why it cannot.
        has_gpu: Whether the machine has an NVIDIA GPU at all.
    """

    version: str
    works: bool
    why: str
    has_gpu: bool


def look(
    sandbox: Sandbox, project: Project, path: str, *, record: bool = False
) -> Environment:
    """Return what the project at `path` needs and what is there.

    Args:
        sandbox: The machine.
        project: What is configured.
        path: The clone.
        record: Write down that what is there now is what a good setup made.

    Raises:
        RefusedError: If uv is needed and not there.
    """
    plan = [_PLAN_FORMAT, project.setup, project.verify]
    if project.env or project.path:
        plan += [project.env, project.path]
    digest = hashlib.sha256(json.dumps(plan).encode()).hexdigest()
    reply = own_scripts.ask(
        sandbox,
        *("env_look", path, digest, "yes" if record else "no"),
        "\n".join(pattern.rstrip("/") for pattern in project.setup_inputs),
        *named_files(project.setup),
        doing=f"look at the environment of {path}",
    )
    return environment(reply, project.setup, sandbox.config.label)


def environment(
    reply: script_replies.Reply, configured: tuple[str, ...], machine: str
) -> Environment:
    """Return what env_look.sh said. Pure.

    Raises:
        RefusedError: If uv is needed and not there.
    """
    return Environment(
        commands=configured or _detected(reply, machine),
        fingerprint=reply.need("fingerprint"),
        recorded=reply.get("recorded"),
        has_logs=reply.get("logs") == "yes",
        uv=reply.get("uv"),
        python_version=reply.get("python_version"),
        driver=reply.get("driver"),
        hostname=reply.get("hostname"),
    )


def named_files(commands: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of the commands that may be files of the project. Pure."""
    names = {word for command in commands for word in _split(command)}
    return tuple(sorted(w for w in names if not w.startswith(("-", "/", "~"))))


def use(project: Project, path: str, tree: str = "") -> str:
    """Return what lets a command use what `setup` made; see `CommandOptions.environment`.

    Args:
        project: What is configured.
        path: The clone, absolute.
        tree: Where the command runs, if that is another tree: folders for PATH are its.
    """
    folders = [
        folder if folder.startswith(("/", "~")) else f"{tree or path}/{folder}"
        for folder in project.path
    ]
    return "".join(f"{line}\n" for line in (path, *folders))


def variables(project: Project, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the project's variables, with those that are given for one command over them."""
    pairs = (each.partition("=") for each in project.env)
    return {name: value for name, _, value in pairs} | dict(env or {})


def torch(sandbox: Sandbox, path: str) -> TorchCheck:
    """Let the project's torch compute something on the GPU."""
    reply = own_scripts.ask(
        sandbox,
        *("env_verify", path),
        doing=f"check torch in {path}",
        timeout_s=_VERIFY_S,
    )
    return TorchCheck(
        version=reply.get("torch"),
        works=reply.get("cuda") == "yes",
        why=reply.get("why"),
        has_gpu=reply.get("gpu") == "yes",
    )


def link_logs(
    sandbox: Sandbox, path: str, links: Mapping[str, str] | None = None
) -> bool:
    """Make the logs folder, and in it a link `NAME.log` to each log.

    Args:
        sandbox: The machine.
        path: Of the tree.
        links: The path of each log by the name of its link.

    Returns:
        Whether something was not there yet.

    Raises:
        RefusedError: If a file of the project has that name.
    """
    link_arguments = [word for link in (links or {}).items() for word in link]
    reply = own_scripts.ask(
        sandbox, "log_link", path, *link_arguments, doing=f"make {path}/logs"
    )
    return reply.get("changed") == "yes"


def _detected(reply: script_replies.Reply, machine: str) -> tuple[str, ...]:
    """Return the commands for what the project declares; the most exact file counts."""
    has_uv = bool(reply.get("uv"))
    if reply.get("uv_lock") == "yes":
        if not has_uv:
            raise RefusedError(
                f"the project has a uv.lock, and uv is not installed on {machine}",
                INSTALL_UV,
            )
        return ("uv sync --locked",)
    if reply.get("conda_file") == "yes" and reply.get("conda"):
        return (_conda(reply.get("conda")),)
    if reply.get("requirements") == "yes":
        what = "-r requirements.txt"
    elif reply.get("builds") == "yes":
        what = "-e ."
    else:
        return ()
    if has_uv:
        return (_UV_VENV, f"uv pip install {what}")
    if not reply.get("python"):
        raise RefusedError(
            f"neither uv nor python3 is installed on {machine}",
            "Install one, or set `setup` under [project] in sandbox.toml.",
        )
    return (_VENV, f".venv/bin/python -m pip install --no-input {what}")


def _conda(program: str) -> str:
    """Return what makes `.conda/` what environment.yml says; what it lacks is removed."""
    create = f"{shlex.quote(program)} env update --quiet --prune"
    if program.endswith("/micromamba"):
        create = (
            f"{shlex.quote(program)} $([ -d .conda ] && echo update --prune || "
            "echo create) --yes --quiet"
        )
    return f"{create} --prefix ./.conda --file environment.yml"


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # bash will say what is wrong with it
        return []
