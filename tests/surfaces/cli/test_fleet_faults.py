"""`--on` where machines are dead, each in another way: real servers, a network of our own."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import processes
import pytest
from command_line import PROGRAM, cli
from network import nft, private_network
from sshd import SshServer
from waiting import wait_until

N_ALIVE = 12
HOLES = (20001, 20002)
DEAD = {
    "hole0": "connect",
    "hole1": "connect",
    "refused0": "connect",
    "refused1": "connect",
    "noname0": "connect",
    "noname1": "connect",
    "changed0": "host-key",
    "changed1": "host-key",
    "locked0": "connect",
    "locked1": "connect",
}


@pytest.fixture
def network(tmp_path: Path) -> Iterator[None]:
    # so what later calls are forked from never was in the network they are made in
    cli("--version", cwd=tmp_path)
    with private_network():
        yield


@dataclass(frozen=True)
class Fleet:
    """A user with twenty-two machines, ten of them dead."""

    folder: Path
    server: SshServer
    names: list[str]

    @property
    def env(self) -> dict[str, str]:
        return {
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "SANDBOX_OPS_AGENT_IDLE_S": "60",
        }

    def verb(self, *words: str) -> subprocess.CompletedProcess[str]:
        return cli(*words, cwd=self.folder, env=self.env, timeout_s=90)


@pytest.fixture(params=["fabric", "openssh"])
def fleet(
    request: pytest.FixtureRequest,
    network: None,  # noqa: ARG001 - the servers live in it
    tmp_path: Path,
    make_sshd: Callable[..., SshServer],
) -> Iterator[Fleet]:
    server = make_sshd(extra="MaxStartups 100:30:200")
    changed = make_sshd()
    holes = ", ".join(map(str, HOLES))
    nft(
        f"""table inet fault {{
  chain lost {{
    type filter hook input priority 0
    tcp dport {{ {holes} }} drop
  }}
}}
"""
    )
    key = server.known_hosts.read_text().split(maxsplit=1)[1]
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(
        f"[{server.host}]:{server.port} {key}[{server.host}]:{changed.port} {key}"
    )
    ports = {f"m{n}": server.port for n in range(N_ALIVE)} | {
        "hole0": HOLES[0], "hole1": HOLES[1], "refused0": 3, "refused1": 4,
        "noname0": 22, "noname1": 22, "changed0": changed.port,
        "changed1": changed.port, "locked0": server.port, "locked1": server.port,
    }  # fmt: skip
    lines = ['default = "m0"']
    for name, port in ports.items():
        is_known = not name.startswith("noname")
        key_of = changed if name.startswith("locked") else server
        lines += [
            f"[sandboxes.{name}]",
            f'host = "{server.host if is_known else f"{name}.invalid"}"',
            f'port = {port}\nuser = "{server.user}"\nlink = "{request.param}"',
            f'identity_file = "{key_of.identity_file}"\nknown_hosts = "{known_hosts}"',
        ]
    file = tmp_path / "config" / "sandbox-ops" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o600)
    (tmp_path / "run").mkdir(mode=0o700)
    yield Fleet(tmp_path, server, list(ports))
    for pid in processes.carrying(f"XDG_RUNTIME_DIR={tmp_path / 'run'}"):
        os.kill(pid, signal.SIGTERM)  # the masters that ssh keeps


@pytest.mark.slow
def test_each_dead_machine_has_its_own_reason_and_all_others_answer(
    fleet: Fleet,
) -> None:
    done = fleet.verb("run", "--on", "all", "--json", "--", "echo", "hi")
    answers = json.loads(done.stdout)["sandboxes"]
    assert list(answers) == fleet.names
    kinds = {n: each["error"]["kind"] for n, each in answers.items() if "error" in each}
    assert kinds == DEAD
    assert {answers[n]["stdout"] for n in fleet.names if n not in DEAD} == {"hi\n"}
    assert done.returncode == 255
    assert done.stderr == ""
    done = fleet.verb("monitor", "--on", "refused0,m0,m1,noname0", "--json")
    assert json.loads(done.stdout)["totals"]["reachable"] == 2
    # those that answer are no worse off the second time, and nothing is said of kept ones
    alive = ",".join(name for name in fleet.names if name not in DEAD)
    for _ in range(2):
        done = fleet.verb("run", "--on", alive, "--json", "--", "true")
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_ctrl_c_ends_the_command_on_all_that_are_alive(fleet: Fleet) -> None:
    child = subprocess.Popen(
        [PROGRAM, "run", "--on", "all", "--", "sleep", "7747"],
        cwd=fleet.folder,
        env={**os.environ, **fleet.env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(sleepers(fleet)) == N_ALIVE, 60)
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == 130, err
    wait_until(lambda: not sleepers(fleet), 10)
    assert "sandbox-ops jobs --on all" in err


def sleepers(fleet: Fleet) -> list[str]:
    """Return the commands that run on the machines, which are one."""
    marked = processes.carrying(f"SANDBOX_JOB={fleet.server.home}")
    return [line for line in marked.values() if line.startswith("sleep")]
