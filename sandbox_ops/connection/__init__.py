"""The only part that knows Fabric and paramiko. Import it late: it costs 0.2 s."""

from sandbox_ops.connection.client import SandboxConnection
from sandbox_ops.connection.pipe import LinkError, Pipe, SessionLimitError

__all__ = ["LinkError", "Pipe", "SandboxConnection", "SessionLimitError"]
