"""What travels between the layers: frozen values, no I/O.

One name for one thing, units in the name, `None` for what is not known.
"""

import enum
from dataclasses import dataclass, field
from typing import Any


class JobState(enum.StrEnum):
    """Where a job is in its life. Terminal states never change.

    `UNKNOWN` is said where the machine cannot be reached or has not answered; it is
    never guessed into another state.
    """

    QUEUED = "queued"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    TIMED_OUT = "timed-out"
    LOST = "lost"
    UNKNOWN = "unknown"

    @property
    def ended(self) -> bool:
        """Whether the state is terminal."""
        return self in _TERMINAL


_TERMINAL = frozenset(
    {
        JobState.SUCCEEDED,
        JobState.FAILED,
        JobState.STOPPED,
        JobState.TIMED_OUT,
        JobState.LOST,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One command on a sandbox, as it was when the machine was last asked.

    Attributes:
        id: `remote-N`, never used again on that sandbox.
        name: The name it was given, or "".
        reason: Why a `lost` job is lost ("reboot", "killed"), else "".
        exit_code: None until it ended, and where no code is known; 128+n for a signal.
        signal: "TERM", "KILL", ... where the code stands for a signal.
        signal_certain: False where the shell could not tell a signal from exit 128+n.
        started_at: Seconds since 1970 by the machine's clock.
        elapsed_s: Until its end, or until now where it lives. None if not known.
        log_path: Absolute path, on the sandbox, of the log (of stdout, for a
            foreground command).
        survivors: How many processes it left running when it ended.
        log_incomplete: Whether part of the output was dropped on the machine.
        foreground: Whether somebody waits, or waited, for it (`run`, `remote_bash`).
        gpus: Indices of the GPUs it claims.
    """

    id: str
    name: str = ""
    state: JobState
    reason: str = ""
    exit_code: int | None = None
    signal: str | None = None
    signal_certain: bool | None = None
    command: str = ""
    description: str = ""
    cwd: str = ""
    started_at: float | None = None
    elapsed_s: float | None = None
    log_path: str = ""
    stderr_path: str = ""
    survivors: int = 0
    log_incomplete: bool = False
    foreground: bool = False
    gpus: tuple[int, ...] = ()
    project_path: str = ""

    @property
    def words(self) -> str:
        """The state in words: `failed (exit code 3)`, `lost (reboot)`."""
        if self.reason:
            return f"{self.state} ({self.reason})"
        if self.signal:
            certain = "" if self.signal_certain else f", or exit code {self.exit_code}"
            return f"{self.state} (signal {self.signal}{certain})"
        if self.state is JobState.FAILED:
            return f"{self.state} (exit code {self.exit_code})"
        return str(self.state)

    def as_json(self) -> dict[str, Any]:
        """The job as every `--json` shows it."""
        return {
            "id": self.id,
            "name": self.name,
            "state": str(self.state),
            "reason": self.reason,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "signal_certain": self.signal_certain,
            "command": self.command,
            "description": self.description,
            "started_at": self.started_at,
            "elapsed_s": self.elapsed_s,
            "log_path": self.log_path,
        }


class EndKind(enum.StrEnum):
    """The four ways a command can end."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMED_OUT = "timed-out"
    CONNECTION_LOST = "connection-lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a stream held: all of it, or its head and tail.

    Attributes:
        head: The first bytes; everything, where nothing was left out.
        tail: The last bytes, where `omitted_bytes` lie between.
        size_bytes: How much there is on the machine.
    """

    head: bytes = b""
    tail: bytes = b""
    size_bytes: int = 0

    @property
    def omitted_bytes(self) -> int:
        """How many bytes lie between head and tail and were not fetched."""
        return max(0, self.size_bytes - len(self.head) - len(self.tail))

    @property
    def text(self) -> str:
        """Head and tail as text; invalid UTF-8 stays visible as backslash escapes."""
        head = self.head.decode("utf-8", "backslashreplace")
        if not self.omitted_bytes:
            return head + self.tail.decode("utf-8", "backslashreplace")
        gap = f"\n... {self.omitted_bytes} bytes left out ...\n"
        return head + gap + self.tail.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True, kw_only=True)
class StopReport:
    """What a stop did.

    Attributes:
        job: The job afterwards.
        killed: One line a process that was ended: `PID NAME`.
        left: One line a process that could not be ended or inspected, and why.
    """

    job: Job
    killed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The report as `stop --json` shows it."""
        return {
            "job": self.job.as_json(),
            "killed": list(self.killed),
            "left": list(self.left),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """How a foreground command ended, and what it said.

    Attributes:
        job: Its record; state `UNKNOWN` where the connection was lost.
        kind: Which of the four ends it was.
        left: Processes of a timed-out command that could not be ended. Empty: the
            whole tree is dead.
    """

    job: Job
    kind: EndKind
    stdout: Output = field(default_factory=Output)
    stderr: Output = field(default_factory=Output)
    left: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether it exited 0."""
        return self.kind is EndKind.EXITED and self.job.exit_code == 0

    @property
    def exit_code(self) -> int:
        """Its own code, 128+n for a signal, 124 timed out, 255 connection lost."""
        if self.kind is EndKind.TIMED_OUT:
            return 124
        if self.kind is EndKind.CONNECTION_LOST or self.job.exit_code is None:
            return 255
        return self.job.exit_code

    @property
    def tree_dead(self) -> bool | None:
        """Whether every process of it is dead; None where nobody could look."""
        if self.kind is EndKind.CONNECTION_LOST:
            return None
        return not self.left and not self.job.survivors

    def as_json(self) -> dict[str, Any]:
        """The result as `run --json` shows it."""
        return {
            "job": self.job.as_json(),
            "end": str(self.kind),
            "tree_dead": self.tree_dead,
            "left": list(self.left),
            "stdout": self.stdout.text,
            "stderr": self.stderr.text,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutput:
    """A piece of a job's log.

    Attributes:
        job: The job as it was when the piece was read.
        data: The bytes.
        offset: Where in the log the piece begins, in bytes.
        size_bytes: How long the log was.
        inode: Which file it was, to notice rotation.
        restarted: The log is another or shorter file than the cursor knew, so the
            piece begins at its start.
    """

    job: Job
    data: bytes
    offset: int
    size_bytes: int
    inode: int
    restarted: bool = False

    @property
    def next_offset(self) -> int:
        """Where the next piece begins, in bytes."""
        return self.offset + len(self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSlice:
    """Some lines of a remote file, with where they stand in it.

    Attributes:
        lines: Without their line ends.
        first_line: The number of the first of them: 1-based, or negative and counted
            from the end where the file's line count is not known.
        total_lines: None where counting them would have meant reading it all.
        at_end: Whether the slice reaches the end of the file.
        cut: Whether lines were left out because the slice became too large.
    """

    path: str
    lines: tuple[str, ...]
    first_line: int
    total_lines: int | None
    size_bytes: int
    at_end: bool
    cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a machine says of one path.

    Attributes:
        mode: Type and permissions, as `stat.S_ISDIR` and its like read them.
        owner: The user id there.
        mtime: Seconds since 1970 by the machine's clock.
        target: Where a symbolic link leads; None where it is none.
    """

    path: str
    mode: int
    size_bytes: int
    owner: int
    mtime: float
    target: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file below a directory of the machine.

    Attributes:
        path: Relative to that directory.
        mtime: Seconds since 1970 by the machine's clock.
        sha256: Hexadecimal; "" where it was not asked for.
    """

    path: str
    size_bytes: int
    mtime: float
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuProcess:
    """A process that holds GPU memory, ours or not."""

    pid: int
    name: str
    memory_used_mib: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU; None where the driver does not say."""

    index: int
    name: str
    uuid: str = ""
    utilization_percent: int | None = None
    memory_used_mib: int | None = None
    memory_total_mib: int | None = None
    temperature_c: int | None = None
    processes: tuple[GpuProcess, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """Room on the file system that holds a path."""

    path: str
    free_bytes: int
    total_bytes: int
    free_inodes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignProcess:
    """A training-like process or tmux session that is not ours; never touched."""

    pid: int
    user: str
    age_s: int
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineStatus:
    """What one look at the machine found."""

    jobs: tuple[Job, ...] = ()
    tails: dict[str, bytes] = field(default_factory=dict)
    gpus: tuple[Gpu, ...] | None = None
    gpu_error: str = ""
    disk: Disk | None = None
    load_1min: float | None = None
    cpus: int | None = None
    foreign: tuple[ForeignProcess, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig:
    """How one machine is reached and where things lie on it.

    Attributes:
        host: An ssh_config alias or a host name.
        port: None: what ssh_config says. The same holds for the other Nones.
        workspace: Absolute path under which projects live.
    """

    name: str
    host: str
    port: int | None = None
    user: str | None = None
    identity_file: str | None = None
    known_hosts: str | None = None
    ssh_config: str | None = None
    workspace: str = "/workspace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The code that is worked on: what the configuration and the local clone say.

    Attributes:
        root: The local work tree, absolute; None outside of one.
        repo: The URL it is fetched from on the sandbox.
        name: The last segment of the URL without `.git`: its folder's name there.
        branch: The branch that is synced.
        setup: Commands that install the environment; empty: detected.
        verify: Commands that must succeed afterwards; None: detected.
        outputs: Paths below the project that `fetch` brings home.
        train_command: Template for `train`, with `{steps}`-like holes; "" if none.
    """

    root: str | None = None
    repo: str = ""
    name: str = ""
    branch: str = ""
    setup: tuple[str, ...] = ()
    verify: tuple[str, ...] | None = None
    outputs: tuple[str, ...] = ()
    train_command: str = ""
