"""Rows about links: what a command costs over each, from a program and from the prompt."""

import contextlib
import functools
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import references
from bench import Bench, run_true
from measure import Beside, Contenders, Row, against, interleaved, mib, once, seconds
from references import SSH
from sshd import SshServer, start_sshd

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.ssh.openssh_master import end_all

_SSH = "`ssh`, connecting"
LINKS = ("fabric", "openssh", "command", "local")
_MACHINES = 50
_FLEET_GOAL = 1.5
_MAX_STARTUPS = "MaxStartups 10:30:100"  # sshd's own default
_FLEET_MIB = 300
_PROGRAM = str(Path(sys.executable).with_name("sandbox-ops"))


def _config(bench: Bench, link: str) -> SandboxConfig:
    if link in {"fabric", "openssh"}:
        return bench.server.config(link=link)
    home = bench.folder / "own-home"
    home.mkdir(exist_ok=True)
    words = ("env", f"HOME={home}", "sh")
    changes = {"link": "local" if link == "local" else words, "port": None}
    return bench.server.config(host="here", **changes)


def links(bench: Bench) -> Iterator[Row]:
    """Say what a warm command costs over each link, beside `ssh -S`."""
    with contextlib.ExitStack() as ends:
        ends.enter_context(_own_places(bench))
        ends.callback(end_all, _config(bench, "openssh"))
        master = ends.enter_context(references.multiplexed(bench.server))
        contenders: Contenders = {SSH: lambda: master.run("true")}
        for link in LINKS:
            sandbox = ends.enter_context(Sandbox(_config(bench, link)))
            contenders = {**contenders, link: lambda s=sandbox: run_true(s)}  # type: ignore[misc]
        medians = interleaved(contenders, bench.rounds)
    for link in LINKS:
        beside = (against(SSH, medians[link], medians[SSH], None),)
        yield Row(f'`Sandbox.run("true")`, link {link}', seconds(medians[link]), beside)


@dataclass(frozen=True, slots=True)
class _Cost:
    """What a program took: on the clock, and of a processor with its children."""

    wall_s: float
    cpu_s: float


def link_programs(bench: Bench) -> Iterator[Row]:
    """Say what `sandbox-ops run -- true` costs over each link, beside `ssh` at the prompt.

    A first call connects; a later one finds a connection that was kept.
    """
    costs: dict[str, list[_Cost]] = {}
    with contextlib.ExitStack() as ends:
        ends.enter_context(_own_places(bench))
        for link in LINKS:
            _write_toml(bench, link)
        openssh = _config(bench, "openssh")
        master = ends.enter_context(references.multiplexed(bench.server))
        contenders: dict[str, Callable[[], object]] = {
            f"{link}, warm": functools.partial(_typed, bench, link) for link in LINKS
        }
        contenders["openssh, cold"] = functools.partial(_typed, bench, "openssh")
        contenders["fabric, cold"] = functools.partial(
            _typed, bench, "fabric", SANDBOX_OPS_AGENT_IDLE_S="0"
        )
        contenders[_SSH] = lambda: references.ssh(bench.server, "true")
        contenders[SSH] = lambda: master.run("true")
        for number in range(-1, bench.fewer(4)):  # the first connects what is kept
            for name, work in contenders.items():
                if name == "openssh, cold":
                    end_all(openssh)
                cost = _cost(work)
                if number >= 0:
                    costs.setdefault(name, []).append(cost)
        _run([_PROGRAM, "agent", "--stop"], bench.folder / "fabric")
    wall_s = {n: statistics.median(c.wall_s for c in each) for n, each in costs.items()}
    for name in sorted(costs.keys() - {_SSH, SSH}):
        cpu_s = min(cost.cpu_s for cost in costs[name])
        beside = [
            against(_SSH, wall_s[name], wall_s[_SSH], None),
            Beside("least CPU of it and its children", seconds(cpu_s)),
        ]
        if name.endswith("warm"):
            beside.insert(1, against(SSH, wall_s[name], wall_s[SSH], None))
        what = f"`sandbox-ops run -- true`, link {name}"
        yield Row(what, seconds(wall_s[name]), tuple(beside))


def _write_toml(bench: Bench, link: str) -> None:
    folder = bench.folder / link
    folder.mkdir()
    config = _config(bench, link)
    if isinstance(config.link, str):
        bench.server.write_toml(
            folder, config_home=folder / "config", link=link, host=config.host
        )
        return
    home = folder / "config" / "sandbox-ops"
    home.mkdir(parents=True)
    words = json.dumps(list(config.link))
    (home / "config.toml").write_text(
        f'default = "test"\n[sandboxes.test]\nlink = {{ command = {words} }}\n'
        f"workspace = {json.dumps(config.workspace)}\n"
    )


def _typed(bench: Bench, link: str, **environment: str) -> None:
    _run([_PROGRAM, "run", "--", "true"], bench.folder / link, **environment)


def _cost(work: Callable[[], object]) -> _Cost:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall_s = once(work)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)
    return _Cost(wall_s, used)


def _run(command: list[str], folder: Path, **environment: str) -> None:
    env = {
        **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "SANDBOX_OPS_AGENT_IDLE_S": "60",
        **environment,
    }
    subprocess.run(
        command, cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL, timeout=60
    )


@contextlib.contextmanager
def _own_places(bench: Bench) -> Iterator[None]:
    """Keep sockets below a short path, and the jobs of `local` out of the user's home."""
    ours = {"XDG_RUNTIME_DIR": str(bench.folder), "HOME": str(bench.folder / "home")}
    before = {name: os.environ.get(name) for name in ours}
    (bench.folder / "home").mkdir(exist_ok=True)
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


_FLEET = """
import json, resource, sys, threading, time
from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.workflows.fleet import on_each

configs = [SandboxConfig(**each) for each in json.load(sys.stdin)]
took = {}

def work(config):
    began = time.perf_counter()
    with Sandbox(config) as sandbox:
        assert sandbox.run("true").ok
    took[config.name] = time.perf_counter() - began
    return True

began = time.perf_counter()
answers = on_each(configs, work)
whole = time.perf_counter() - began
assert list(answers.values()) == [True] * len(configs), answers
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps([whole, max(took.values()), peak]))
"""


def fleet(bench: Bench) -> Iterator[Row]:
    """Say what fifty machines at once cost: one sshd under fifty names."""
    with start_sshd(bench.folder / "fleet", extra=_MAX_STARTUPS) as server:
        yield from _fleet_rows(server)


def _fleet_rows(server: SshServer) -> Iterator[Row]:
    config = server.config()
    names = ("host", "port", "user", "identity_file", "known_hosts", "ssh_config")
    facts = {name: getattr(config, name) for name in names}
    machines = [{**facts, "name": f"m{n}"} for n in range(_MACHINES)]
    done = subprocess.run(
        [sys.executable, "-c", _FLEET],
        input=json.dumps(machines),
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    whole_s, slowest_s, peak = json.loads(done.stdout)
    what = f"connect, `true`, close on {_MACHINES} machines at once"
    yield Row(
        what,
        seconds(whole_s),
        (against("the slowest of them", whole_s, slowest_s, _FLEET_GOAL),),
    )
    met = peak < _FLEET_MIB << 20
    goal = Beside("", goal=f"under {_FLEET_MIB} MiB", met=met)
    dropped = Beside(
        "connections that sshd dropped", str(server.log.count(" drop connection"))
    )
    yield Row(f"{what}: peak memory of the client", mib(peak), (goal, dropped))
