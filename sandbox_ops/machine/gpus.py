"""The machine's GPUs."""

from sandbox_ops.errors import NotFoundError
from sandbox_ops.machine import readings
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Gpu


def query(sandbox: Sandbox) -> tuple[Gpu, ...]:
    """Return every GPU of the machine, with the processes that hold its memory.

    Raises:
        NotFoundError: There is no nvidia-smi, or it fails or hangs; says which.
    """
    status = readings.status(sandbox.request("look", "gpu", "-"))
    if status.gpus is None:
        raise NotFoundError(
            f"no GPU figures from {sandbox.config.label}: {status.gpu_error}",
            "Is this a GPU machine, and is its driver installed?",
        )
    return status.gpus
