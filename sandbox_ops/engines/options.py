"""From a caller's options to what an engine starts."""

from typing import TYPE_CHECKING

from sandbox_ops.models.options import CommandOptions, JobOptions, check_options
from sandbox_ops.remote.start_request import StartRequest, new_token
from sandbox_ops.remote.stream import PIECE_BYTES

if TYPE_CHECKING:
    from sandbox_ops.models.groups import CellKey

KEEP_BYTES = 8 << 20
FOREGROUND_CAP_BYTES = 256 << 20
_FIRST_BYTES = 1 << 16
_FOREGROUND_GRACE_S = 1
_BACKGROUND_GRACE_S = 10
EARLY_END_S = 0.1
"""So long a start waits for its command to end; what lasts longer is polled for."""


def keep_bytes(options: CommandOptions) -> int:
    """Return how much of each stream is kept."""
    return options.get("keep_bytes", KEEP_BYTES)


def command_request(
    command: str,
    options: CommandOptions,
    *,
    interpreter: str = "bash",
    started_by: str = "",
    shown: str = "",
    wait_s: float = 0,
) -> StartRequest:
    """Return the start of a command that somebody waits for.

    Raises:
        TypeError: There is no such option.
        UsageError: As `StartRequest` has it.
    """
    check_options(options, CommandOptions, "run")
    first_bytes = min(_FIRST_BYTES, max(1, keep_bytes(options) // 2))
    if options.get("on_output") is not None:
        first_bytes = PIECE_BYTES  # a listener gets all of it, the sooner the better
    return StartRequest(
        command=command,
        shown=shown,
        foreground=True,
        description=options.get("description", ""),
        cwd=options.get("cwd", ""),
        env=options.get("env") or {},
        environment=options.get("environment", ""),
        interpreter=interpreter,
        started_by=started_by,
        timeout_s=options.get("timeout_s"),
        grace_s=_FOREGROUND_GRACE_S,
        cap_bytes=FOREGROUND_CAP_BYTES,
        wait_s=wait_s,
        first_bytes=first_bytes,
    )


def job_request(
    command: str,
    options: JobOptions,
    *,
    started_by: str = "",
    cell: "CellKey | None" = None,
) -> StartRequest:
    """Return the start of a background job; `cell` is its place in a group.

    Raises:
        TypeError: There is no such option.
        UsageError: As `StartRequest` has it.
    """
    check_options(options, JobOptions, "start")
    return StartRequest(
        command=command,
        shown=options.get("shown", ""),
        nodes=options.get("nodes", 0),
        name=options.get("name", ""),
        description=options.get("description", ""),
        cwd=options.get("cwd", ""),
        env=options.get("env") or {},
        timeout_s=options.get("timeout_s"),
        grace_s=_BACKGROUND_GRACE_S,
        cap_bytes=options.get("log_max_bytes", 0),
        wait_s=EARLY_END_S if options.get("see_early_end") else 0,
        unique_name=options.get("unique_name", False),
        gpus=tuple(options.get("gpus", ())),
        project_path=options.get("project_path", ""),
        started_by=started_by,
        environment=options.get("environment", ""),
        files=options.get("files") or {},
        commit=options.get("commit", ""),
        writes=tuple(options.get("writes", ())),
        token=options.get("token") or new_token(),
        cell=cell,
        queue=options.get("queue"),
    )
