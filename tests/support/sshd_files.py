"""The files and programs that a throw-away sshd needs."""

import functools
import itertools
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from gitproject import patterns_folder

_KEPT_KEYS = 16
"""No test has more servers at once that have to have keys of their own."""
_numbers = itertools.count()
HOST = "127.0.0.1"
PLAIN_PYTHON = Path(__file__).with_name("plain_python")
INSTALL = "apt-get install openssh-server openssh-client"

_CONFIG = """\
{extra}
Port {port}
ListenAddress {host}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
SetEnv {environment}
MaxSessions {max_sessions}
MaxStartups 100:30:200
LogLevel VERBOSE
PidFile none
StrictModes no
UsePAM no
UseDNS no
PermitUserRC no
PrintMotd no
PasswordAuthentication no
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
"""

_CLIENT_CONFIG = """\
Host box
  HostName {host}
  Port {port}
  User {user}
  IdentityFile {folder}/user_key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  StrictHostKeyChecking yes
  BatchMode yes
"""

# What `chsh` would do, without an account: sshd's own shell hands over at once.
_LOGIN_SHELL = """\
#!/bin/sh
SHELL={shell}
export SHELL
[ "${{SSH_ORIGINAL_COMMAND+set}}" ] || exec {shell}
exec {shell} -c "$SSH_ORIGINAL_COMMAND"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a test may ask of its server.

    Attributes:
        max_sessions: How many channels a connection may have.
        extra: Lines of sshd_config(5); they win over ours.
        login_shell: Path of another shell than the user's own to run commands in.
        environment: Variables of the sessions, but for `HOME`.
    """

    max_sessions: int = 10
    extra: str = ""
    login_shell: str | None = None
    environment: Mapping[str, str] | None = None


def write(folder: Path, port: int, user: str, options: Options) -> None:
    """Write keys and configuration of a server, and of a client that knows it."""
    folder.mkdir(parents=True)
    (folder / "home").mkdir()
    _copy_keys(folder)
    host_key = (folder / "host_key.pub").read_text("utf-8")
    (folder / "known_hosts").write_text(f"[{HOST}]:{port} {host_key}", "utf-8")
    facts = {"folder": folder, "host": HOST, "port": port}
    client = _CLIENT_CONFIG.format(user=user, **facts)
    (folder / "ssh_config").write_text(client, "utf-8")
    config = _CONFIG.format(
        **facts,
        extra="\n".join(_extra(folder, options)),
        max_sessions=options.max_sessions,
        environment=_environment(folder, options),
    )
    (folder / "sshd_config").write_text(config, "utf-8")


def _extra(folder: Path, options: Options) -> list[str]:
    lines = [options.extra]
    if options.login_shell:
        script = folder / "login-shell"
        text = _LOGIN_SHELL.format(shell=shlex.quote(options.login_shell))
        script.write_text(text, "utf-8")
        script.chmod(0o755)
        lines.append(f"ForceCommand {script}")
    if _understands("PerSourcePenalties no"):  # 9.8 and later punish rude clients
        lines.append("PerSourcePenalties no")
    return lines


def _environment(folder: Path, options: Options) -> str:
    # one line: sshd takes the first SetEnv only
    settings = {
        "PYTHONPATH": str(PLAIN_PYTHON),
        **(options.environment or {}),
        "HOME": str(folder / "home"),
    }
    return " ".join(f'"{name}={text}"' for name, text in settings.items())


def _copy_keys(folder: Path) -> None:
    """Give a server the keys of its host and its user: no others of the last few have these."""
    for made in _keys(next(_numbers) % _KEPT_KEYS).iterdir():
        shutil.copy(made, folder)  # with its mode


@functools.cache
def _keys(number: int) -> Path:
    """Return a folder of keys that is kept for this run: to make them takes a while."""
    del number
    folder = Path(tempfile.mkdtemp(dir=patterns_folder()))
    keygen(folder / "host_key")
    keygen(folder / "user_key")
    return folder


def keygen(path: Path) -> None:
    """Make a key pair without a passphrase, in the place of an older one."""
    path.unlink(missing_ok=True)
    command = [program("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@functools.cache
def _understands(line: str) -> bool:
    refusal = subprocess.run(
        [program("sshd"), "-t", "-f", os.devnull, "-o", line.replace(" ", "=", 1)],
        capture_output=True,
        text=True,
        check=False,
    )
    return not re.search("bad configuration option", refusal.stderr, re.IGNORECASE)


def program(name: str) -> str:
    """Return the full path of a program; end the run where there is none."""
    # sbin is not on everyone's PATH, and sshd wants to be started by its full path
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    result = shutil.which(name, path=path)
    if result is None:
        pytest.exit(f"the tests need a real {name}, and there is none: {INSTALL}", 3)
    return result
