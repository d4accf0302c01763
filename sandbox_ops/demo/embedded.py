"""Start and stop the embedded sandbox; say how it is reached."""

import contextlib
import selectors
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sandbox_ops.demo import leftovers
from sandbox_ops.errors import ConnectError
from sandbox_ops.guard import this_user
from sandbox_ops.models import SandboxConfig

ALIAS = "demo-box"
_START_S = 20.0
_STOP_S = 10.0

_SSH_CONFIG = """\
Host {alias}
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile "{folder}/user_key"
  IdentitiesOnly yes
  UserKnownHostsFile "{folder}/known_hosts"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
"""


@contextlib.contextmanager
def embedded_sandbox(folder: Path) -> Iterator[SandboxConfig]:
    """Run an SSH server for the time of the `with`; yield how it is reached.

    All that belongs to it lies in `folder`: keys, known_hosts, an ssh_config that
    knows it as `demo-box`, its home, its workspace, its log. Nobody's ~/.ssh is read
    or written. Afterwards no process that was started through it is left.

    Args:
        folder: Made if it is not there; must be empty.

    Raises:
        ConnectError: the server did not start; holds what it said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    log = folder / "server.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "sandbox_ops.demo.ssh_server", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for us; it ends when we close its stdin
        ) as server,
    ):
        try:
            yield _describe(folder, _port(server, log))
        finally:
            _stop(server, folder)


def _port(server: subprocess.Popen[bytes], log: Path) -> int:
    """Return the port that the server says it has taken."""
    assert server.stdout is not None  # noqa: S101 - a pipe was asked for
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(server.stdout, selectors.EVENT_READ)
        if selector.select(_START_S):
            line = server.stdout.readline()
    word, _, port = line.decode().partition(" ")
    if word != "ready":
        output = log.read_text("utf-8", "replace").strip() or "It said nothing."
        raise ConnectError(
            "the embedded SSH server did not start",
            f"{output}\nTry it by hand: python -m sandbox_ops.demo.ssh_server EMPTY_FOLDER",
        )
    return int(port)


def _stop(server: subprocess.Popen[bytes], folder: Path) -> None:
    assert server.stdin is not None  # noqa: S101 - a pipe was asked for
    server.stdin.close()
    try:
        server.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
    leftovers.end(folder)  # the server has done so, unless it was killed


def _describe(folder: Path, port: int) -> SandboxConfig:
    """Write the files that an SSH client wants; return the sandbox."""
    host_key = (folder / "host_key.pub").read_text("utf-8")
    known_hosts, config = folder / "known_hosts", folder / "ssh_config"
    known_hosts.write_text(f"[127.0.0.1]:{port} {host_key}", "utf-8")
    user = this_user.account()
    config.write_text(
        _SSH_CONFIG.format(alias=ALIAS, port=port, user=user, folder=folder), "utf-8"
    )
    return SandboxConfig(
        name=ALIAS,
        host=ALIAS,
        port=port,
        user=user,
        identity_file=str(folder / "user_key"),
        known_hosts=str(known_hosts),
        ssh_config=str(config),
        workspace=str(folder / "workspace"),
    )
