"""What a start is: one value with named fields, and its words on the wire.

The record is the part that only Python reads; the machine keeps it as it is.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandbox_ops.errors import UsageError
from sandbox_ops.models import job_ids
from sandbox_ops.models.queue import QueueRequest
from sandbox_ops.remote import job_record, scripts

if TYPE_CHECKING:
    from sandbox_ops.models.groups import CellKey

_COMMAND_IN_RECORD = 4000
_DESCRIPTION_IN_RECORD = 500
_STARTED_BY_IN_RECORD = 200


def new_token() -> str:
    """Return a token that no other start has."""
    return secrets.token_hex(16)


LONGEST_TIMEOUT_S = 2**53 // 1000 + 1
"""As many milliseconds as JSON counts exactly, and far from what a shell cannot count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """One job to start, with all that its engine has to know.

    Attributes:
        command: A shell line or script; stdin is empty.
        shown: What the record shows in place of the command; "": the command.
        foreground: Whether somebody waits for it: then it is a command (`cmd-N`), and its
            stdout and stderr are kept apart.
        cwd: Absolute; "": the home.
        env: Added to the login environment; never in an argument list.
        interpreter: `bash` (`sh` where there is none), or `sh`.
        timeout_s: Its own deadline, held also with nobody connected. None: none.
        grace_s: Between TERM and KILL at its deadline.
        cap_bytes: What a stream may hold on the machine; 0: no limit.
        wait_s: How long the start waits for its end before it answers.
        first_bytes: How much of each stream the answer may bring.
        unique_name: Refuse if a job of that name has not ended.
        gpus: Claimed for this job.
        project_path: The tree that it uses.
        environment: A tree, and folders for PATH, a line each: what `setup` made there, and
            these, come first in PATH.
        started_by: Who starts it, for those who look at it later.
        files: Put into the job's folder before it starts.
        commit: Of the code that it runs; the job finds it as SANDBOX_COMMIT.
        writes: Files, absolute, that it alone may write while it has not ended.
        token: The same token is the same job, however often it is sent.
        cell: Its place in a group.
        queue: What it waits for in the machine's queue; None: it starts at once. The GPUs
            are chosen there, so `gpus` is empty.
        nodes: How many nodes of a Slurm cluster it runs on; 0: one.
        slurm: What sbatch is told of it; empty: Slurm does not start it.

    Raises:
        UsageError: A NUL in command or directory, a name that will not do, or a
            deadline beyond `LONGEST_TIMEOUT_S`.
    """

    command: str
    shown: str = ""
    foreground: bool = False
    name: str = ""
    description: str = ""
    cwd: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    interpreter: str = "bash"
    timeout_s: float | None = None
    grace_s: int = 10
    cap_bytes: int = 0
    wait_s: float = 0
    first_bytes: int = 0
    unique_name: bool = False
    gpus: tuple[int, ...] = ()
    project_path: str = ""
    environment: str = ""
    started_by: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    commit: str = ""
    writes: tuple[str, ...] = ()
    token: str = field(default_factory=new_token)
    cell: "CellKey | None" = None
    queue: QueueRequest | None = None
    nodes: int = 0
    slurm: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not self.timeout_s <= LONGEST_TIMEOUT_S:
            raise UsageError(
                f"a timeout of {self.timeout_s:g} s is too long: at most"
                f" {LONGEST_TIMEOUT_S} s",
                "Leave it out for no deadline.",
            )
        scripts.words(self.command, self.cwd)
        job_ids.check_name(self.name)
        if self.unique_name and self.name and not job_ids.can_be_claimed(self.name):
            raise UsageError(
                f"a job's unique name cannot be {self.name!r}",
                "Letters, digits, dots, dashes and underscores will do, 64 at most.",
            )

    @property
    def record(self) -> dict[str, Any]:
        """What is kept of it for those who look at it later."""
        kept = {
            "format": job_record.RECORD_FORMAT,
            "command": (self.shown or self.command)[:_COMMAND_IN_RECORD],
            "cwd": self.cwd,
            "description": self.description[:_DESCRIPTION_IN_RECORD],
            "foreground": self.foreground,
            "started_by": self.started_by[:_STARTED_BY_IN_RECORD],
        }
        if self.foreground:
            return kept
        queued = self.queue and {
            "queue": self.queue.record,
            "retries": self.queue.retry.retries,
        }
        kept |= {
            "name": self.name,
            "gpus": list(self.gpus),
            "project_path": self.project_path,
            "writes": list(self.writes),
            **(queued or {}),
        }
        if self.cell is None:
            return kept
        return kept | {"group": self.cell.group, "cell": self.cell.number}

    @property
    def claims(self) -> tuple[str, ...]:
        """What the job alone may hold: names of files there."""
        names = (f"name-{self.name}",) if self.unique_name and self.name else ()
        digests = (hashlib.sha256(path.encode()).hexdigest() for path in self.writes)
        return (
            *(f"gpu-{index}" for index in self.gpus),
            *names,
            *(f"file-{digest[:16]}" for digest in digests),
        )

    def words(self) -> list[str]:
        """Return the fields as `do_start` in scripts/lib/start.sh reads them.

        Raises:
            UsageError: `env` holds what is not the name of a variable.
        """
        limit_cs = max(1, round(self.timeout_s * 100)) if self.timeout_s else 0
        fields = {
            "token": self.token,
            "kind": "fg" if self.foreground else "bg",
            "timeout_cs": limit_cs,
            "grace_s": self.grace_s,
            "cap_bytes": self.cap_bytes,
            "wait_cs": round(self.wait_s * 100),
            "max_bytes": self.first_bytes,
            "shell": self.interpreter,
            "cwd": self.cwd,
            "spec": json.dumps(self.record, separators=(",", ":")),
            "env": scripts.assignments(self._variables),
            "command": self.command,
            "claims": " ".join(self.claims),
            "name": job_ids.name_key(self.name) if self.name else "",
            "slurm": "\n".join(self.slurm),
        }
        if self.cell is not None:
            fields |= {
                "group": self.cell.group,
                "cell": self.cell.word,
                "identity": self.cell.identity,
                "commit": self.cell.commit,
            }
        if self.queue:
            fields |= {
                "queue": self.queue.words,
                "resume": self.queue.retry.resume_from,
            }
        # the shell reads a byte a system call: what is empty or zero there is not sent
        sent = {n: value for n, value in fields.items() if value or n in _ALWAYS_SENT}
        files = {"environment": self.environment} if self.environment else {}
        for name, text in {**self.files, **files}.items():
            sent[f"file.{name}"] = text
        return [f"{name}={value}" for name, value in sent.items()]

    @property
    def _variables(self) -> dict[str, str]:
        """The environment of the command: the caller's variables, and what we say of it."""
        env = dict(self.env)
        if self.gpus:
            env = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, self.gpus))} | env
        if self.cell:
            env = self.cell.variables | env
        if self.name and not self.foreground:
            env["SANDBOX_JOB_NAME"] = self.name
        if self.commit:
            env["SANDBOX_COMMIT"] = self.commit
        return env


_ALWAYS_SENT = ("grace_s", "queue")
"""Without the first there is a grace of 10 s, without the second no queue."""
