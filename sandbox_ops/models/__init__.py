"""What travels between the layers: frozen values, no I/O.

One name for one thing, units in the name, `None` for what is not known.
"""

from sandbox_ops.models.commands import CommandResult, EndKind, Output
from sandbox_ops.models.files import FileFacts, FileSlice, RemoteFile
from sandbox_ops.models.hardware import (
    Disk,
    ForeignProcess,
    Gpu,
    GpuProcess,
    JobUse,
    LogDigest,
    MachineStatus,
)
from sandbox_ops.models.jobs import Job, JobOutput, JobState, StopReport
from sandbox_ops.models.settings import Project, SandboxConfig

__all__ = [
    "CommandResult",
    "Disk",
    "EndKind",
    "FileFacts",
    "FileSlice",
    "ForeignProcess",
    "Gpu",
    "GpuProcess",
    "Job",
    "JobOutput",
    "JobState",
    "JobUse",
    "LogDigest",
    "MachineStatus",
    "Output",
    "Project",
    "RemoteFile",
    "SandboxConfig",
    "StopReport",
]
