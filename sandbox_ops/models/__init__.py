"""What travels between the layers: frozen values, no I/O.

One name for one thing, units in the name, `None` for what is not known. A module is
imported when one of its names is: to make such a class takes 0.4 ms, and a command needs few.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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


_MODULES = {
    "commands": ("CommandResult", "EndKind", "Output"),
    "files": ("FileFacts", "FileSlice", "RemoteFile"),
    "hardware": (
        "Disk", "ForeignProcess", "Gpu", "GpuProcess", "JobUse", "LogDigest", "MachineStatus",
    ),
    "jobs": ("Job", "JobOutput", "JobState", "StopReport"),
    "settings": ("Project", "SandboxConfig"),
}  # fmt: skip
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
