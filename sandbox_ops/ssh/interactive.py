"""A terminal on the machine: OpenSSH's own client, with the same configuration.

The one place where `ssh` carries a session: a person's terminal needs what it does
best (window sizes, escapes, agent), and nothing of ours depends on it.
"""

import shlex
import shutil
import subprocess

from sandbox_ops.errors import NextStep, NotFoundError
from sandbox_ops.guard import acts
from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh import openssh_config
from sandbox_ops.text import remote_text


def command(config: SandboxConfig, folder: str = "") -> tuple[str, ...]:
    """Return the argv of `ssh` that opens a login shell there, in a folder.

    Raises:
        ConfigError: The host could be taken for an option.
    """
    lookup = openssh_config.lookup_of(config)
    options = [word for word in lookup[1:-2] if word not in {"-G", "-T"}]
    if config.known_hosts:
        options += ["-o", f"UserKnownHostsFile={config.known_hosts}"]
    enter = f"cd {shlex.quote(folder)}; " if folder else ""
    return ("ssh", *options, "-t", "--", config.host, f"{enter}exec $SHELL -l")


def enter(config: SandboxConfig, folder: str = "") -> int:
    """Open a shell there in this terminal; return its exit code when it ends.

    Raises:
        NotFoundError: There is no ssh client on this machine.
        ConfigError: The host could be taken for an option.
        DeniedError: The machine's mode does not allow it.
    """
    acts.check(config, "shell")
    if shutil.which("ssh") is None:
        raise NotFoundError(
            "there is no ssh client on this machine",
            "Install OpenSSH's client.",
            NextStep("run", {"command": "COMMAND"}, "Or run single commands"),
        )
    with acts.act(config, "shell", folder, mask=remote_text.masked) as outcome:
        code = subprocess.run(command(config, folder), check=False).returncode
        outcome.append(f"exit {code}")
    return code
