"""A process that has not imported paramiko yet: its connection is on its way meanwhile."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from sshd import SshServer
from sshd_files import free_port
from waiting import wait_until

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.errors import SandboxError

_PROGRAM = """
import json, os, sys, threading
connects = []
def hear(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        connects.append(threading.current_thread().name)
sys.addaudithook(hear)
from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.errors import SandboxError
def sockets():
    links = (f"/proc/self/fd/{n}" for n in os.listdir("/proc/self/fd"))
    return sum(os.path.lexists(n) and os.readlink(n).startswith("socket:") for n in links)
before = sockets()
message = ""
assert "paramiko" not in sys.modules
with Sandbox(%s) as sandbox:
    try:
        %s
    except SandboxError as error:
        message = str(error)
left = sockets() - before
print(json.dumps({"connects": connects, "left": left, "message": message}))
"""


def in_a_new_process(config: SandboxConfig, action: str) -> dict[str, Any]:
    """Do something with a sandbox where nothing is imported; return what was seen."""
    program = _PROGRAM % (repr(config), action)
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def test_the_first_connection_of_a_process_is_begun_early_and_is_the_only_one(
    sshd: SshServer,
) -> None:
    seen = in_a_new_process(sshd.config(), "assert sandbox.run('true').ok")
    assert seen == {"connects": ["ssh-early"], "left": 0, "message": ""}


def test_one_that_nobody_uses_is_closed(sshd: SshServer) -> None:
    seen = in_a_new_process(sshd.config(), "sandbox.links")
    assert seen["left"] == 0
    wait_until(lambda: sshd.log.count("Connection closed by 127.0.0.1"))


_WRONG: dict[str, Callable[[SshServer], dict[str, object]]] = {
    "a port where nobody listens": lambda _: {"port": free_port()},
    "a name that nobody knows": lambda _: {"host": "nobody.invalid"},
    "no key": lambda s: {"identity_file": str(s.known_hosts)},
    "no such key file": lambda s: {"identity_file": str(s.folder / "none")},
    "no known host key": lambda _: {"known_hosts": "/dev/null"},
}


@pytest.mark.parametrize("wrong", _WRONG)
def test_what_fails_says_the_same_as_in_a_process_that_has_paramiko(
    wrong: str, sshd: SshServer
) -> None:
    config = sshd.config(**_WRONG[wrong](sshd))
    seen = in_a_new_process(config, "sandbox.run('true')")
    with Sandbox(config) as sandbox, pytest.raises(SandboxError) as caught:
        sandbox.run("true")
    assert seen["message"] == str(caught.value)
    assert seen["left"] == 0
