"""The options of a command and of a job, as type checkers and callers see them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from sandbox_ops.models.queue import QueueRequest

Listener = Callable[[str, bytes], None]
"""Gets every piece of output as `("stdout"|"stderr", bytes)`."""


class CommandOptions(TypedDict, total=False):
    """Options of `Sandbox.run` and `Sandbox.submit`.

    Attributes:
        cwd: Absolute; the home where none is given.
        env: Added to the login environment; never in an argument list.
        timeout_s: The job's own deadline, held also with nobody connected.
        environment: The project's environment that it uses, as `environment.use` has it.
        description: Kept with the record.
        keep_bytes: At most so much of each stream is kept, head and tail.
        on_output: Gets every piece as `("stdout"|"stderr", bytes)`.
    """

    cwd: str
    env: Mapping[str, str] | None
    timeout_s: float | None
    environment: str
    description: str
    keep_bytes: int
    on_output: Listener | None


class JobOptions(TypedDict, total=False):
    """Options of `Sandbox.start`.

    Attributes:
        name: Kept with the record; the job can be asked for by it.
        description: Kept with the record.
        cwd: Absolute; the home where none is given.
        env: Added to the login environment; never in an argument list.
        timeout_s: The job's own deadline; it ends as `timed-out`.
        unique_name: Refuse if a job of that name has not ended.
        gpus: Claimed for this job, which sees them as CUDA_VISIBLE_DEVICES.
        project_path: The tree that it uses.
        environment: The project's environment that it uses, as `environment.use` has it.
        files: Put into the job's folder before it starts.
        commit: Of the code that it runs.
        writes: Files, absolute, that it alone may write while it has not ended.
        log_max_bytes: What the log may hold; 0: no limit.
        see_early_end: Answer a tenth of a second later, with its end if it ends by then:
            a program that is not there is told at once.
        token: The same token is the same job, however often it is sent.
        queue: What it waits for in the machine's queue; without it, it starts at once.
        nodes: How many nodes of a Slurm cluster it runs on; 0: one.
        shown: What its record shows in place of the command; "": the command.
    """

    name: str
    description: str
    cwd: str
    env: Mapping[str, str] | None
    timeout_s: float | None
    unique_name: bool
    gpus: Sequence[int]
    project_path: str
    environment: str
    files: Mapping[str, str] | None
    commit: str
    writes: Sequence[str]
    log_max_bytes: int
    see_early_end: bool
    token: str
    queue: QueueRequest | None
    nodes: int
    shown: str


def check_options(options: Mapping[str, object], known: type, verb: str) -> None:
    """Refuse what is not an option: a `TypedDict` is checked by type checkers alone.

    Raises:
        TypeError: As of an unknown keyword argument.
    """
    for name in options:
        if name not in known.__annotations__:
            raise TypeError(f"{verb}() got an unexpected keyword argument {name!r}")
