"""sandbox-ops: run work on remote GPU machines over SSH.

The public names are imported when they are used: Fabric alone costs 0.2 s.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sandbox_ops.errors import SandboxError
    from sandbox_ops.models import (
        CommandResult,
        EndKind,
        FileSlice,
        Job,
        JobState,
        Project,
        SandboxConfig,
    )
    from sandbox_ops.sandbox import Sandbox

__all__ = [
    "CommandResult",
    "EndKind",
    "FileSlice",
    "Job",
    "JobState",
    "Project",
    "Sandbox",
    "SandboxConfig",
    "SandboxError",
]

_MODULES = {"Sandbox": "sandbox", "SandboxError": "errors"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  # PEP 562
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES.get(name, 'models')}")
    return getattr(module, name)
