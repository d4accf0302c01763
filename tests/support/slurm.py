"""A real Slurm cluster on this machine: munged, slurmctld and slurmd, as root, on loopback.

Each node is a `slurmd -N nodeK` in a PID and a UTS namespace of its own: it has its own host
name and its own processes, as another machine has, and killing the first of these processes
is what a power cut is. The folders below `/tmp` are what they share. (Over 250 lines: one text, its
configuration, and how each daemon is started, stopped and killed.)
"""

import contextlib
import itertools
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from slurm_accounting import start_database, start_slurmdbd
from waiting import wait_until

if TYPE_CHECKING:
    from sandbox_ops import Sandbox

OpenSandbox = Callable[..., "Sandbox"]
"""Opens a sandbox on the login node, with a connection of its own and these settings."""

_LONGEST_FOLDER = 60
"""A job's step makes a socket below it, and such a path has 108 bytes at most."""
_CONF = """\
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.sock,cred_expire=20
SlurmctldPort={controller}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
DefMemPerCPU=100
SchedulerType=sched/backfill
SchedulerParameters=sched_min_interval=10000,sched_interval=1,bf_interval=1,batch_sched_delay=0
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
KillWait=5
MinJobAge={min_job_age}
SlurmdTimeout=5
GresTypes=gpu
{accounting}
JobAcctGatherType=jobacct_gather/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=node[1-{nodes}] NodeHostname=localhost NodeAddr=127.0.0.1 \
Port=[{first}-{last}] CPUs=4 CoresPerSocket=4 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=2:00:00 State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=10
{more}
"""
_NO_ACCOUNTING = "AccountingStorageType=accounting_storage/none"
_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.sock"""
_WARM_S = 20.0


@dataclass
class SlurmCluster:
    """A cluster that runs; `environment` is what a shell of its login node needs."""

    folder: Path
    nodes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)
    daemons: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *command: str, check: bool = True) -> str:
        """Run a program of Slurm, as a user on the login node does."""
        done = subprocess.run(
            command,
            env=os.environ | self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if check:
            assert done.returncode == 0, done.stderr
        return done.stdout

    def start_node(self, name: str) -> None:
        """Switch a node on, and wait until the controller has heard of it."""
        script = f"hostname {name} && exec slurmd -D -N {name}"
        self.nodes[name] = self._spawn(
            "unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc",
            "sh", "-c", script,
        )  # fmt: skip

    def kill_node(self, name: str) -> None:
        """End all processes of a node at once, as a power cut does."""
        process = self.nodes.pop(name)
        process.kill()
        process.wait()

    def wait_until_idle(self, nodes: int) -> None:
        def idle() -> bool:
            states = self.ask(
                "sinfo", "-h", "-N", "-p", "main", "-o", "%t", check=False
            )
            return states.split() == ["idle"] * nodes

        wait_until(idle, timeout_s=_WARM_S)

    def cancel_all(self) -> None:
        """End all jobs at once, and wait until the nodes are free again."""
        self.ask("scancel", "--signal=KILL", "--full", "--me", check=False)
        self.ask("scancel", "--me")
        self.wait_until_idle(len(self.nodes))

    def release(self, number: str) -> None:
        """Let a requeued job begin now: Slurm itself waits two minutes."""
        wait_until(
            lambda: "PENDING" in self.ask("squeue", "-h", "-j", number, "-o", "%T"),
            timeout_s=_WARM_S,
        )
        self.ask("scontrol", "update", f"JobId={number}", "StartTime=now")

    def start_controller(self) -> None:
        self.spawn_daemon("slurmctld", "-D")

    def stop(self, daemon: str) -> None:
        """Shut a daemon down: slurmctld or slurmdbd."""
        process = self.daemons.pop(daemon)
        process.send_signal(signal.SIGTERM)
        process.wait(20)

    def lose_state(self) -> None:
        """Have the controller begin anew: what it wrote of its jobs is gone, as with a broken disk."""
        self.stop("slurmctld")
        shutil.rmtree(self.folder / "state")
        (self.folder / "state").mkdir()
        self.start_controller()
        self.wait_until_idle(len(self.nodes))

    def start_accounting(self) -> None:
        """Start slurmdbd; its database runs already."""
        start_slurmdbd(self.folder, self.spawn_daemon)

    def close(self) -> None:
        for name in tuple(self.nodes):
            self.kill_node(name)
        for process in reversed(self.daemons.values()):
            process.kill()
            process.wait()

    def spawn_daemon(
        self, *command: str, **environment: str
    ) -> "subprocess.Popen[bytes]":
        """Start a program that ends with the cluster."""
        process = self._spawn(*command, **environment)
        self.daemons[command[0]] = process
        return process

    def _spawn(self, *command: str, **environment: str) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{command[0]}.out").open("ab") as out:
            return subprocess.Popen(
                command,
                env=os.environ | self.environment | environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _start_munge(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        files = {
            name: str(self.folder / f"munge.{name}")
            for name in ("sock", "pid", "log", "seed")
        }
        self.spawn_daemon(
            "munged", "--foreground", "--force", f"--socket={files['sock']}",
            f"--key-file={key}", f"--pid-file={files['pid']}",
            f"--log-file={files['log']}", f"--seed-file={files['seed']}",
        )  # fmt: skip
        wait_until(Path(files["sock"]).exists, timeout_s=_WARM_S)


def _free_ports(count: int) -> range:
    """Return that many free ports in a row."""
    for first in itertools.count(20000 + os.getpid() * 7 % 20000, count):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return range(first, first + count)
    raise AssertionError


@contextlib.contextmanager
def slurm_cluster(
    folder: Path,
    *,
    nodes: int = 3,
    min_job_age: int = 300,
    accounting: bool = False,
    more: str = "",
) -> Iterator[SlurmCluster]:
    """Start a cluster and end all that was started for it.

    Args:
        folder: Its own, which every user may enter (munge wants that).
        nodes: How many; each has 4 cores and 2 GPUs.
        min_job_age: How long the controller remembers a job that ended, in seconds.
        accounting: Whether there is a slurmdbd; by default not, as it is often absent.
        more: Lines of slurm.conf.
    """
    assert len(str(folder)) <= _LONGEST_FOLDER, (
        f"too long for Slurm's sockets: {folder}"
    )
    folder.mkdir(mode=0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    ports = _free_ports(nodes + 2)
    storage = (
        _ACCOUNTING.format(folder=folder, port=ports[-1])
        if accounting
        else _NO_ACCOUNTING
    )
    conf = _CONF.format(
        folder=folder, controller=ports[0], first=ports[1], last=ports[nodes],
        nodes=nodes, min_job_age=min_job_age, accounting=storage, more=more,
    )  # fmt: skip
    (folder / "slurm.conf").write_text(conf)
    gpus = [folder / f"gpu{index}" for index in range(2)]
    for gpu in gpus:
        gpu.touch()
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu[0-1]\n")
    cluster = SlurmCluster(folder)
    try:
        cluster._start_munge()  # of this module
        if accounting:
            start_database(folder, ports[-1], cluster.spawn_daemon)
            cluster.start_accounting()
        cluster.start_controller()
        for index in range(1, nodes + 1):
            cluster.start_node(f"node{index}")
        cluster.wait_until_idle(nodes)
        yield cluster
    finally:
        cluster.close()
