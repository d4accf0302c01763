"""The state of the files that decide whom we trust, and as whom we log in."""

from pathlib import Path

from sandbox_ops.models import SandboxConfig
from sandbox_ops.ssh.resolved_host import ResolvedHost


def states(config: SandboxConfig, resolved: ResolvedHost) -> tuple[object, ...]:
    """Return what tells a changed file from the same one: a connection is for one state."""
    names = (
        config.ssh_config or "~/.ssh/config",
        "/etc/ssh/ssh_config",
        *resolved.identity_files,
        *resolved.certificate_files,
        *resolved.user_known_hosts_files,
        *resolved.global_known_hosts_files,
        *resolved.revoked_host_keys_files,
    )
    collected: list[object] = []
    for name in names:
        try:
            facts = Path(name).expanduser().stat()
            collected.append((name, facts.st_ino, facts.st_size, facts.st_mtime_ns))
        except OSError:
            collected.append((name, None))
    return tuple(collected)
