"""Which machine and which project: what the configuration says. Frozen values, no I/O."""

from dataclasses import dataclass


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

    @property
    def label(self) -> str:
        """What sentences call it: its name; its host where `default` is all it has."""
        return self.host if self.name == "default" else self.name


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
        metrics: The user's own patterns for metrics in a log (RE2, named groups).
        progress: The user's own patterns for a log's steps (`step`, `total`, ...).
    """

    root: str | None = None
    repo: str = ""
    name: str = ""
    branch: str = ""
    setup: tuple[str, ...] = ()
    verify: tuple[str, ...] | None = None
    outputs: tuple[str, ...] = ()
    train_command: str = ""
    metrics: tuple[str, ...] = ()
    progress: tuple[str, ...] = ()
