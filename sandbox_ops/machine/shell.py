"""A terminal on the machine, and the login that asks: programs that the user types to.

OpenSSH's own client, or the command that the link names: a person's terminal needs what
those do best (window sizes, escapes, agent), and nothing of ours depends on it.
"""

import shlex
import shutil
import subprocess
from collections.abc import Sequence

from sandbox_ops.errors import ConfigError, ConnectError, NextStep, NotFoundError
from sandbox_ops.guard import acts
from sandbox_ops.links.process import leading_to_a_shell
from sandbox_ops.machine.chosen_links import command_of
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project, SandboxConfig
from sandbox_ops.models.settings import OPENSSH
from sandbox_ops.remote import scripts
from sandbox_ops.ssh.openssh_master import Master, end_all
from sandbox_ops.text import remote_text

_WITH_TERMINAL = frozenset({"docker", "podman", "kubectl", "nerdctl", "oc"})


def in_project(sandbox: Sandbox, project: Project) -> str:
    """Return the command line of a shell there that uses what `setup` made. Connects.

    Raises:
        ConnectError: The machine cannot be reached.
    """
    root = sandbox.project_path(project)
    folder = f"{sandbox.base.rpartition('/v1/')[0]}/lib"
    names = (scripts.library_name(kind) for kind in (scripts.LINUX, scripts.BSD))
    libraries = (f"{folder}/{name}.sh" for name in names)
    of_project = (root, ":".join(project.path), *project.env)
    arguments = scripts.words(sandbox.home, *libraries, *of_project)
    return f"env SANDBOX_OPS_SH=sh sh -c {shlex.quote(_PROJECT_SHELL)} sh {arguments}"


_PROJECT_SHELL = (
    '[ -n "${HOME-}" ] || export HOME="$1"; shift; '  # a link's command may set none
    "[ -r /proc/self/stat ] && library=$1 || library=$2; shift 2; "
    'exec sh "$library" project_shell "$@"'
)


def command(
    config: SandboxConfig, folder: str = "", program: str = ""
) -> tuple[str, ...]:
    """Return the argv that opens a login shell there, in a folder.

    Args:
        config: The machine.
        folder: Where, absolute; "": the home.
        program: What runs there in place of a login shell: a line that every shell takes.

    Raises:
        ConfigError: The host could be taken for an option.
        ConnectError: ssh cannot read its configuration.
    """
    enter = f"cd {shlex.quote(folder)}; " if folder else ""
    if not config.by_ssh:
        argv = leading_to_a_shell(with_terminal(command_of(config)))
        return (*argv, f"{enter}exec {program or '${SHELL:-sh} -l'}")
    master = Master(config)
    kept = ("-S", master.path) if config.link == OPENSSH else ()
    argv = ("ssh", *master.options(), *kept, "-t", "--", config.host)
    return (*argv, f"{enter}exec {program or '$SHELL -l'}")


def with_terminal(words: Sequence[str]) -> tuple[str, ...]:
    """Return a command that gives its shell a terminal, as `docker exec -i -t`. Pure."""
    options = {"-i", "--stdin", "--interactive"}
    if words[0].rpartition("/")[2] not in _WITH_TERMINAL or not options & set(words):
        return tuple(words)
    after = min(words.index(option) for option in options if option in words) + 1
    return (*words[:after], "-t", *words[after:])


def enter(config: SandboxConfig, folder: str = "", program: str = "") -> int:
    """Open a shell there in this terminal; return its exit code when it ends.

    Args:
        config: The machine.
        folder: Where, absolute; "": the home.
        program: In place of a login shell, as `in_project` has it.

    Raises:
        NotFoundError: What leads there is not installed on this machine.
        ConfigError: The host could be taken for an option.
        DeniedError: The machine's mode does not allow it.
    """
    acts.check(config, "shell")
    argv = command(config, folder, program)
    _require(argv[0])
    with acts.act(config, "shell", folder, mask=remote_text.masked) as outcome:
        code = subprocess.run(argv, check=False).returncode
        outcome.append(f"exit {code}")
    return code


def login(config: SandboxConfig) -> bool:
    """Open the connection that ssh keeps, in this terminal: ssh asks what it has to.

    It lasts until it is lost, or ended by `logout`.

    Returns:
        Whether it was opened; False: it was open already.

    Raises:
        ConfigError: The machine is not reached by the user's own ssh.
        NotFoundError: There is no ssh client on this machine.
        ConnectError: ssh did not get in; what it said is on the terminal.
    """
    master = _by_openssh(config)
    if master.is_open():
        return False
    code = subprocess.run(master.login_command(), check=False).returncode
    if code != 0 or not master.is_open():
        raise ConnectError(
            f"ssh did not get in at {config.host} (exit code {code})",
            f"Try it by hand: ssh {config.host} true",
        )
    return True


def logout(config: SandboxConfig) -> bool:
    """End the connection that ssh keeps; return whether there was one.

    Raises:
        ConfigError: The machine is not reached by the user's own ssh.
        NotFoundError: There is no ssh client on this machine.
    """
    _by_openssh(config)
    return end_all(config)


def _by_openssh(config: SandboxConfig) -> Master:
    if config.link != OPENSSH:
        raise ConfigError(
            f"{config.label} needs no login: it is not reached by your own ssh",
            f'For a machine that asks for a second factor: link = "openssh" below '
            f"[sandboxes.{config.name}] in your own config.toml",
        )
    _require("ssh")
    return Master(config)


def _require(program: str) -> None:
    if shutil.which(program) is not None:
        return
    if program != "ssh":
        raise NotFoundError(
            f"{program} is not installed on this machine", "Install it."
        )
    raise NotFoundError(
        "there is no ssh client on this machine",
        "Install OpenSSH's client.",
        NextStep("run", {"command": "COMMAND"}, "Or run single commands"),
    )
