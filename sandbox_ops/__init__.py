"""sandbox-ops: run work on remote GPU machines over SSH.

The public names are imported when they are used: Fabric alone costs 0.2 s. What is
public is listed in `__all__`; the rest may change with any version.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import version

    from sandbox_ops.config import discover
    from sandbox_ops.engines.foreground import Call
    from sandbox_ops.errors import (
        AuthenticationError,
        CancelledError,
        ConfigError,
        ConnectError,
        ConnectionLostError,
        DeniedError,
        HostKeyError,
        NextStep,
        NotFoundError,
        ProtocolError,
        RefusedError,
        SandboxError,
        TimedOutError,
        UsageError,
    )
    from sandbox_ops.machine import files, gpus, jobs, transfer
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.models import (
        CommandResult,
        EndKind,
        FileSlice,
        Job,
        JobOutput,
        JobState,
        Project,
        SandboxConfig,
        StopReport,
    )
    from sandbox_ops.models.cancellation import CancelToken
    from sandbox_ops.models.options import CommandOptions, JobOptions
    from sandbox_ops.workflows.doctor import DoctorReport, doctor
    from sandbox_ops.workflows.fetch import FetchReport, fetch
    from sandbox_ops.workflows.monitor import MonitorReport, monitor
    from sandbox_ops.workflows.reset import ResetReport, reset
    from sandbox_ops.workflows.setup import SetupReport, setup
    from sandbox_ops.workflows.sync import SyncReport, sync
    from sandbox_ops.workflows.train import TrainReport, train

    __version__ = version("sandbox-ops")

__all__ = [
    "AuthenticationError",
    "Call",
    "CancelToken",
    "CancelledError",
    "CommandOptions",
    "CommandResult",
    "ConfigError",
    "ConnectError",
    "ConnectionLostError",
    "DeniedError",
    "DoctorReport",
    "EndKind",
    "FetchReport",
    "FileSlice",
    "HostKeyError",
    "Job",
    "JobOptions",
    "JobOutput",
    "JobState",
    "MonitorReport",
    "NextStep",
    "NotFoundError",
    "Project",
    "ProtocolError",
    "RefusedError",
    "ResetReport",
    "Sandbox",
    "SandboxConfig",
    "SandboxError",
    "SetupReport",
    "StopReport",
    "SyncReport",
    "TimedOutError",
    "TrainReport",
    "UsageError",
    "__version__",
    "discover",
    "doctor",
    "fetch",
    "files",
    "gpus",
    "jobs",
    "monitor",
    "reset",
    "setup",
    "sync",
    "train",
    "transfer",
]

_WORKFLOWS = ("doctor", "fetch", "monitor", "reset", "setup", "sync", "train")
_HOMES = {
    "Sandbox": "machine.sandbox",
    "Call": "engines.foreground",
    "CancelToken": "models.cancellation",
    "CommandOptions": "models.options",
    "JobOptions": "models.options",
    **{name: f"workflows.{name}" for name in _WORKFLOWS},
    **{f"{name.title()}Report": f"workflows.{name}" for name in _WORKFLOWS},
    **{
        name: "errors"
        for name in __all__
        if name.endswith("Error") or name == "NextStep"
    },
}
_PUBLIC_MODULES = {
    "discover": "config.discover",
    "files": "machine.files",
    "gpus": "machine.gpus",
    "jobs": "machine.jobs",
    "transfer": "machine.transfer",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562
    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("sandbox-ops")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _PUBLIC_MODULES:
        return importlib.import_module(f"{__name__}.{_PUBLIC_MODULES[name]}")
    module = importlib.import_module(f"{__name__}.{_HOMES.get(name, 'models')}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
