"""A training over several nodes of a Slurm cluster: one job, which srun has run on each.

All that Slurm does by itself: it starts all or none, ends all where one fails, stops all. See
scripts/slurm_nodes.sh and docs/decisions/0031.
"""

from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models.options import JobOptions
from sandbox_ops.remote import node, scripts
from sandbox_ops.workflows import torchrun


def over(command: str, nodes: int, gpus: int | None, options: JobOptions) -> str:
    """Return the command that runs another on all nodes of a job.

    Args:
        command: What each node runs.
        nodes: How many.
        gpus: How many GPUs it takes on each.
        options: Of the job; what it needs for that is added.

    """
    options["nodes"] = nodes
    options["shown"] = command
    options["files"] = {
        **(options["files"] or {}),
        "node_command": f"{command}\n",
        "node_task": scripts.script("slurm_node_task"),
        "node_meet.py": node.meeting(),
    }
    return scripts.script("slurm_nodes", str(torchrun.processes(gpus)))


def check(sandbox: Sandbox, nodes: int) -> None:
    """Refuse several nodes of one machine.

    Raises:
        UsageError: It is no cluster.
    """
    if nodes > 1 and not sandbox.config.by_slurm:
        raise UsageError(
            f"{nodes} nodes are wanted, and {sandbox.config.label} is one machine",
            NextStep("train", {"on": "gpu1,gpu2", "nodes": nodes}, "Name as many"),
        )
