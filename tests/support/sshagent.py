"""A real ssh agent, and a machine that lets in nobody but who has one."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from processes import Child
from sshd import SshServer
from waiting import wait_until


@contextlib.contextmanager
def ssh_agent(folder: Path, key: Path) -> Iterator[str]:
    """Run an agent that holds a key; give the path of its socket."""
    where = folder / "agent.sock"
    with Child(["ssh-agent", "-D", "-a", str(where)], stdout=subprocess.DEVNULL) as it:
        try:
            wait_until(where.exists)
            env = {**os.environ, "SSH_AUTH_SOCK": str(where)}
            subprocess.run(["ssh-add", "-q", key], env=env, check=True)
            yield str(where)
        finally:
            it.terminate()


def write_keyless_toml(
    machine: SshServer, folder: Path, config_home: Path | None = None
) -> None:
    """Write a `sandbox.toml` that names no key, nor does the ssh_config it names."""
    lines = machine.ssh_config.read_text("utf-8").splitlines()
    kept = [line for line in lines if "Identit" not in line]
    config = machine.folder / "keyless_config"
    config.write_text("\n".join([*kept, "  IdentityFile none", ""]), "utf-8")
    machine.write_toml(
        folder,
        config_home=config_home,
        host="box",
        identity_file=None,
        ssh_config=str(config),
    )
