"""Which machine and which project: what the configuration says. Frozen values, no I/O."""

import dataclasses
import functools
import types
import typing
from dataclasses import dataclass

from sandbox_ops.errors import ConfigError
from sandbox_ops.models import policy


class _Checked:
    """Refuses a field whose value is not of its type.

    Raises:
        ConfigError: Names the class, the field, what it takes and what it got.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        checked: typing.Any = type(self)
        for name, accepted in _accepted(checked).items():
            value = getattr(self, name)
            if not any(_is_a(value, one) for one in accepted):
                expected = " or ".join(_WORDS.get(one, str(one)) for one in accepted)
                raise ConfigError(
                    f"{type(self).__name__}: `{name}` must be {expected}, not {value!r:.80}"
                )


FABRIC, OPENSSH, LOCAL = LINKS = ("fabric", "openssh", "local")

SUPERVISOR, SLURM = ENGINES = ("supervisor", "slurm")

_Types = tuple[typing.Any, ...]
_TEXTS = tuple[str, ...]
_WORDS: dict[typing.Any, str] = {
    str: "text", int: "a whole number", float: "a number", _TEXTS: "a tuple of texts", type(None): "None",
}  # fmt: skip


@functools.cache
def _accepted(checked: typing.Any) -> dict[str, _Types]:  # noqa: ANN401  # a class of ours
    hints = typing.get_type_hints(checked)
    return {
        field.name: typing.get_args(hint)
        if isinstance(hint := hints[field.name], types.UnionType)
        else (hint,)
        for field in dataclasses.fields(checked)
    }


def _is_a(value: object, expected: object) -> bool:
    if expected == _TEXTS:
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    if not isinstance(expected, type):
        return True  # a type that a field may have and nobody has described here
    return isinstance(value, expected) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings(_Checked):
    """What sbatch is told of every job of a sandbox; empty: Slurm's own default."""

    partition: str = ""
    account: str = ""
    qos: str = ""
    extra: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        """The same as options of sbatch; what stands in `extra` comes last, and wins."""
        named = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
        }
        return (
            *(f"--{name}={value}" for name, value in named.items() if value),
            *self.extra,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxConfig(_Checked):
    """How one machine is reached and where things lie on it.

    Attributes:
        host: An ssh_config alias or a host name.
        port: None: what ssh_config says. The same holds for the other Nones.
        address: By which other machines reach it; "": they try those that it has.
        ssh_options: As after `ssh -o`: `Name=value`, before what ssh_config says.
        workspace: Absolute path under which projects live.
        mode: What may be done there: "full", "workflow" or "read-only"; see `policy`.
        mode_set_in: Where the mode is set, for messages.
        read_roots: Folders there below which files may be read; empty: all of them.
        deny_read: Patterns of paths there that are not read, as `case` of sh has them.
        slots: How many jobs of its queue without a GPU run at once; None: as many as cores.
        gpu_share: How many jobs of its queue may have a GPU at once; None: one.
        min_free_mem_mib: How much memory of a GPU must be free for a job of its queue.
        cost_per_hour: What an hour of it costs, in the user's own currency; None: unknown.
        fetch_into: Folders on this computer, beside the local clone, that an agent may
            fetch into.
        link: What carries our bytes there: "fabric", "openssh", "local" (this computer),
            or the words of a command that leads to a shell of it.
        on_idle: A command of this computer for when nothing is left to do there.
        engine: Who starts jobs there: "supervisor" (the machine itself), or "slurm"
            (a cluster, of which this is a login node).
        slurm_partition, slurm_account, slurm_qos, slurm_extra: See `SlurmSettings`.

    Raises:
        ConfigError: A field of another type; names it.
    """

    name: str
    host: str
    port: int | None = None
    user: str | None = None
    identity_file: str | None = None
    known_hosts: str | None = None
    ssh_config: str | None = None
    address: str = ""
    ssh_options: tuple[str, ...] = ()
    workspace: str = "/workspace"
    mode: str = policy.FULL
    mode_set_in: str = ""
    read_roots: tuple[str, ...] = ()
    deny_read: tuple[str, ...] = policy.DENY_READ
    fetch_into: tuple[str, ...] = ()
    cost_per_hour: float | None = None
    slots: int | None = None
    gpu_share: int | None = None
    min_free_mem_mib: int | None = None
    link: str | tuple[str, ...] = FABRIC
    on_idle: str | None = None
    engine: str = SUPERVISOR
    slurm_partition: str = ""
    slurm_account: str = ""
    slurm_qos: str = ""
    slurm_extra: tuple[str, ...] = ()

    @property
    def by_slurm(self) -> bool:
        """Whether Slurm starts its jobs."""
        return self.engine == SLURM

    @property
    def slurm(self) -> SlurmSettings:
        """What sbatch is told of every job."""
        return SlurmSettings(
            partition=self.slurm_partition,
            account=self.slurm_account,
            qos=self.slurm_qos,
            extra=self.slurm_extra,
        )

    @property
    def by_ssh(self) -> bool:
        """Whether it is an SSH host, whoever speaks SSH to it."""
        return self.link in {FABRIC, OPENSSH}

    @property
    def label(self) -> str:
        """What sentences call it: its name; its host where `default` is all it has."""
        return self.host if self.name == "default" else self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Project(_Checked):
    """The code that is worked on: what the configuration and the local clone say.

    Attributes:
        root: The local work tree, absolute; None outside of one.
        repo: The URL it is fetched from on the sandbox.
        name: The last segment of the URL without `.git`: its folder's name there.
        branch: The branch that is synced.
        setup: Commands that install the environment; empty: detected.
        verify: Commands that must succeed afterwards; None: detected.
        outputs: Paths below the project that `fetch` brings home; may have holes.
        setup_inputs: Patterns of tracked files that the environment depends on.
        env: `NAME=VALUE` for everything that runs in the project there.
        path: Folders that come first in PATH there.
        links: Paths below the project that a run's own tree shares with the clone.
        train_command: Template for `train`, with `{steps}`-like holes; "" if none.
        train_tree: "own": each training runs in a tree of its own; else in the clone.
        train_output_size_gb: How much a training writes; None: as earlier ones.
        train_metrics: The user's own patterns for metrics in a log (RE2, named groups).
        train_progress: The same for how far it is (`step`, `total`, ...).
        train_best: Which metric makes a run the best of a sweep; "" for the lowest loss.

    Raises:
        ConfigError: A field of another type; names it.
    """

    root: str | None = None
    repo: str = ""
    name: str = ""
    branch: str = ""
    setup: tuple[str, ...] = ()
    verify: tuple[str, ...] | None = None
    outputs: tuple[str, ...] = ()
    setup_inputs: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    links: tuple[str, ...] = (".venv",)
    train_command: str = ""
    train_tree: str = ""
    train_output_size_gb: float | None = None
    train_metrics: tuple[str, ...] = ()
    train_progress: tuple[str, ...] = ()
    train_best: str = ""
