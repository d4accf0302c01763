"""Rows about Slurm: what its jobs cost through us, beside its own programs. Needs root."""

import os
from collections.abc import Iterator

from bench import Bench
from measure import Row, against, interleaved, seconds
from slurm import SlurmCluster, slurm_cluster

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.links.process import ProcessLinks
from sandbox_ops.machine import jobs

_WAITING = 50
_SBATCH = ("sbatch", "--parsable", "--output=/dev/null")


def slurm(bench: Bench) -> Iterator[Row]:
    """Say what a start, an end and a list of jobs take on a real cluster of three nodes."""
    bench.folder.chmod(0o755)  # munge wants that every user may enter it
    home = bench.folder / "slurm-home"
    home.mkdir()
    with slurm_cluster(bench.folder / "cluster") as cluster:
        path = os.environ["PATH"]
        environment = {"HOME": str(home), "PATH": path, **cluster.environment}
        config = SandboxConfig(name="cluster", host="cluster", link="local", engine="slurm")  # fmt: skip
        links = ProcessLinks(["sh", "-c"], "the login node", environment)
        with Sandbox(config, links) as sandbox:
            yield from _rows(bench, cluster, sandbox)
        cluster.cancel_all()


def _rows(bench: Bench, cluster: SlurmCluster, sandbox: Sandbox) -> Iterator[Row]:
    started = interleaved(
        {
            "ours": lambda: sandbox.start("true"),
            "sbatch": lambda: cluster.ask(*_SBATCH, "--wrap=true"),
        },
        bench.fewer(4),
    )
    beside = against("`sbatch`", started["ours"], started["sbatch"], None)
    yield Row("a job given to Slurm", seconds(started["ours"]), (beside,))
    ended = interleaved(
        {
            "ours": lambda: jobs.wait(sandbox, sandbox.start("true").id, timeout_s=60),
            "srun": lambda: cluster.ask("srun", "true"),
        },
        bench.fewer(12),
    )
    beside = against("`srun true`", ended["ours"], ended["srun"], None)
    yield Row("`true` on a node, to its end", seconds(ended["ours"]), (beside,))
    for _ in range(_WAITING):
        sandbox.start("sleep 600")
    listed = interleaved(
        {"ours": lambda: jobs.recent(sandbox), "squeue": lambda: cluster.ask("squeue")},
        bench.fewer(6),
    )
    beside = against("`squeue`", listed["ours"], listed["squeue"], None)
    yield Row(f"`jobs` with {_WAITING} more", seconds(listed["ours"]), (beside,))
