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
    from sandbox_ops.models.runs import Run
    from sandbox_ops.workflows.doctor import DoctorReport, doctor
    from sandbox_ops.workflows.export import ExportReport, export
    from sandbox_ops.workflows.fetch import FetchReport, fetch
    from sandbox_ops.workflows.label_run import LabelReport, label_run
    from sandbox_ops.workflows.monitor import MonitorReport, monitor
    from sandbox_ops.workflows.plot import PlotReport, plot
    from sandbox_ops.workflows.rerun import RerunReport, rerun
    from sandbox_ops.workflows.reset import ResetReport, reset
    from sandbox_ops.workflows.run_diff import DiffReport, diff
    from sandbox_ops.workflows.run_query import RunQuery, query
    from sandbox_ops.workflows.runs import RunReport, RunsReport, runs, show
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
    "DiffReport",
    "DoctorReport",
    "EndKind",
    "ExportReport",
    "FetchReport",
    "FileSlice",
    "HostKeyError",
    "Job",
    "JobOptions",
    "JobOutput",
    "JobState",
    "LabelReport",
    "MonitorReport",
    "NextStep",
    "NotFoundError",
    "PlotReport",
    "Project",
    "ProtocolError",
    "PutReport",
    "RefusedError",
    "RerunReport",
    "ResetReport",
    "Run",
    "RunQuery",
    "RunReport",
    "RunsReport",
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
    "diff",
    "discover",
    "doctor",
    "export",
    "fetch",
    "files",
    "gpus",
    "jobs",
    "label_run",
    "monitor",
    "plot",
    "put",
    "query",
    "rerun",
    "reset",
    "runs",
    "setup",
    "show",
    "sync",
    "train",
    "transfer",
]

_WORKFLOWS = (
    *("doctor", "export", "fetch", "monitor", "plot", "put", "rerun", "reset", "runs"),
    *("setup", "sync", "train"),
)
_HOMES = {
    "Sandbox": "machine.sandbox",
    "Call": "engines.foreground",
    "CancelToken": "models.cancellation",
    "CommandOptions": "models.options",
    "JobOptions": "models.options",
    "Run": "models.runs",
    "RunQuery": "workflows.run_query",
    "RunReport": "workflows.runs",
    "DiffReport": "workflows.run_diff",
    "LabelReport": "workflows.label_run",
    "diff": "workflows.run_diff",
    "label_run": "workflows.label_run",
    "query": "workflows.run_query",
    "show": "workflows.runs",
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
