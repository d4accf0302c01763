"""Every setting, once: its key in the files, its variable, its values, who may set it. Pure.

The readers beside it, their error texts and the reference page come from `KEYS`.
(Over 250 lines: two hundred of them are that table.)
"""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from sandbox_ops.config import value_checks
from sandbox_ops.models import notifications, policy, settings
from sandbox_ops.text import address

_NUMBER = re.compile(r"\s*[0-9]{1,9}\s*")

Value = str | int | float | tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One setting.

    Attributes:
        path: Its key in the file; NAME stands for the name of a sandbox.
        variable: The environment variable that says the same. For a sandbox's keys it
            speaks of the default sandbox.
        kind: `str`, `int` (from 1 to `most`), `float` (an amount), `tuple` for a list of strings
            (in a variable: one a line), `dict` for a table of them (NAME=VALUE a line).
        expects: What it may be, to go after "expected".
        example: A value as TOML writes it.
        check: Returns one string of the value, tidied; ValueError says what is wrong.
        help: What it is for.
        user_only: Whether it touches this computer, so that no project may say it.
        is_path: Whether it is the path of a file on this computer.
        most: The highest that an `int` may be.
    """

    path: str
    variable: str
    kind: (
        type[str]
        | type[int]
        | type[float]
        | type[tuple[str, ...]]
        | type[dict[str, str]]
    )
    expects: str
    example: str
    check: Callable[[str], str]
    help: str
    user_only: bool = False
    is_path: bool = False
    most: int = 65535

    @property
    def field(self) -> str:
        """Its attribute in `SandboxConfig` or `Project`."""
        bare = self.path.removeprefix("sandboxes.NAME.").removeprefix("project.")
        return bare.replace(".", "_")

    def from_toml(self, value: object) -> Value:
        """Return the value that a TOML file gave, checked.

        Raises:
            ValueError: The type is wrong (no words), or the check refused it.
        """
        if type(value) is int and self.kind is int:
            return value_checks.number(value, self.most)
        if isinstance(value, str) and self.kind is str:
            return self.check(value)
        strings = isinstance(value, list) and all(isinstance(i, str) for i in value)
        if isinstance(value, list) and strings and self.kind is tuple:
            return tuple(self.check(item) for item in value)
        if type(value) in (int, float) and self.kind is float:
            return value_checks.amount(str(value))
        if isinstance(value, dict) and self.kind is dict:
            pairs = [(name, each) for name, each in value.items() if type(each) is str]
            if len(pairs) == len(value):
                return tuple(self.check(f"{name}={each}") for name, each in pairs)
        raise ValueError

    def from_text(self, text: str) -> Value:
        """Return the value that a variable gave, checked.

        Raises:
            ValueError: It cannot be read (no words), or the check refused it.
        """
        if self.kind is int:
            value = int(text) if _NUMBER.fullmatch(text) else 0
            return value_checks.number(value, self.most)
        if self.kind is float:
            return value_checks.amount(text)
        if self.kind in (tuple, dict):
            lines = (line.strip() for line in text.splitlines())
            return tuple(self.check(line) for line in lines if line)
        return self.check(text.strip())


class LinkKey(Key):
    """`link`: one of three names, or a table with the words of a command."""

    def from_toml(self, value: object) -> Value:
        """Return a name, or the words of `{ command = [...] }`."""
        if not isinstance(value, dict):
            return super().from_toml(value)
        command = value.get("command")
        if set(value) != {"command"} or not isinstance(command, list):
            raise ValueError
        return value_checks.link_command(command)

    def from_text(self, text: str) -> Value:
        """Return a name, or the words of a command line."""
        command_words = shlex.split(text)
        return (
            self.check(command_words[0])
            if len(command_words) == 1
            else value_checks.link_command(command_words)
        )


class GroupsKey(Key):
    """`groups`: a table of lists of sandboxes; as a value one `NAME=one,two` a group."""

    def from_toml(self, value: object) -> Value:
        """Return the groups of a table."""
        groups = value.items() if isinstance(value, dict) else [("", value)]
        return tuple(self.check(f"{name}={_joined(of)}") for name, of in groups)


def _joined(members: object) -> str:
    if not isinstance(members, list) or not all(isinstance(m, str) for m in members):
        raise ValueError
    return ",".join(members)


KEYS: tuple[Key, ...] = (
    Key(
        path="default",
        variable="SANDBOX_OPS_SANDBOX",
        kind=str,
        expects="the name of a sandbox",
        example='"gpu1"',
        check=value_checks.sandbox_name,
        help="The sandbox that is used when none is named.",
    ),
    Key(
        path="secrets",
        variable="SANDBOX_OPS_SECRETS",
        kind=tuple,
        expects="a list of names of environment variables",
        example='["WANDB_API_KEY"]',
        check=value_checks.variable_name,
        help="Variables whose values are never shown.",
        user_only=True,
    ),
    Key(
        path="secret_files",
        variable="SANDBOX_OPS_SECRET_FILES",
        kind=tuple,
        expects="a list of paths of files of NAME=VALUE lines",
        example='["~/.config/training.env"]',
        check=value_checks.one_line,
        help="Files whose values are never shown.",
        user_only=True,
    ),
    GroupsKey(
        path="groups",
        variable="SANDBOX_OPS_GROUPS",
        kind=tuple,
        expects='a table of lists of sandboxes: a100 = ["gpu1", "gpu2"]',
        example='{ a100 = ["gpu1", "gpu2"] }',
        check=value_checks.group,
        help="Names for several sandboxes, for --on; in the variable NAME=one,two a line.",
        user_only=True,
    ),
    Key(
        path="order",
        variable="SANDBOX_OPS_ORDER",
        kind=tuple,
        expects="a list of names of sandboxes",
        example='["workstation", "gpu1"]',
        check=value_checks.sandbox_name,
        help="Which sandboxes `--on any` tries first.",
        user_only=True,
    ),
    Key(
        path="avoid",
        variable="SANDBOX_OPS_AVOID",
        kind=tuple,
        expects="a list of names of sandboxes",
        example='["gpu7"]',
        check=value_checks.sandbox_name,
        help="Which sandboxes `--on all` and `--on any` leave out.",
        user_only=True,
    ),
    Key(
        path="notify.command",
        variable="SANDBOX_OPS_NOTIFY_COMMAND",
        kind=str,
        expects="a command of this computer",
        example="'say \"$SANDBOX_OPS_TITLE\"'",
        check=value_checks.command,
        help="What `--notify` runs here; what it is about is in variables.",
        user_only=True,
    ),
    Key(
        path="notify.webhook",
        variable="SANDBOX_OPS_NOTIFY_WEBHOOK",
        kind=str,
        expects="an https URL",
        example='"https://ntfy.sh/my-own-topic"',
        check=value_checks.one_line,
        help="Where `--notify` posts to: ntfy, Slack, Discord or anything that takes JSON."
        " It is never shown.",
        user_only=True,
    ),
    Key(
        path="notify.format",
        variable="SANDBOX_OPS_NOTIFY_FORMAT",
        kind=str,
        expects=f"one of {', '.join(notifications.FORMATS)}",
        example='"ntfy"',
        check=value_checks.notify_format,
        help="How the webhook wants it; by its address if not set, else json.",
        user_only=True,
    ),
    Key(
        path="notify.desktop",
        variable="SANDBOX_OPS_NOTIFY_DESKTOP",
        kind=str,
        expects="yes or no",
        example='"yes"',
        check=value_checks.yes_or_no,
        help="Whether `--notify` shows it on this computer's desktop.",
        user_only=True,
    ),
    Key(
        path="notify.events",
        variable="SANDBOX_OPS_NOTIFY_EVENTS",
        kind=tuple,
        expects=f"some of {', '.join(notifications.KINDS)}",
        example='["failed", "warning"]',
        check=value_checks.notify_event,
        help="What `--notify` tells of; ended and warning if not set.",
        user_only=True,
    ),
    Key(
        path="notify.always",
        variable="SANDBOX_OPS_NOTIFY_ALWAYS",
        kind=str,
        expects="yes or no",
        example='"yes"',
        check=value_checks.yes_or_no,
        help="Whether what follows and waits notifies without --notify.",
        user_only=True,
    ),
    Key(
        path="sandboxes.NAME.host",
        variable="SANDBOX_OPS_HOST",
        kind=str,
        expects="an ssh_config alias, host, user@host or user@host:port",
        example='"me@gpu1"',
        check=value_checks.host,
        help="The machine: an ssh_config alias, host, user@host or user@host:port.",
    ),
    Key(
        path="sandboxes.NAME.port",
        variable="SANDBOX_OPS_PORT",
        kind=int,
        expects="a number from 1 to 65535",
        example="2222",
        check=value_checks.one_line,
        help="Instead of the port in `host` or in ssh_config.",
    ),
    Key(
        path="sandboxes.NAME.user",
        variable="SANDBOX_OPS_USER",
        kind=str,
        expects="a user name",
        example='"me"',
        check=address.check_user,
        help="Instead of the user in `host` or in ssh_config.",
    ),
    Key(
        path="sandboxes.NAME.address",
        variable="SANDBOX_OPS_ADDRESS",
        kind=str,
        expects="a host name or an IP address",
        example='"10.0.0.1"',
        check=address.check_host,
        help="By which your other machines reach it, for a training over several; "
        "without it they try those that it has.",
    ),
    Key(
        path="sandboxes.NAME.identity_file",
        variable="SANDBOX_OPS_IDENTITY_FILE",
        kind=str,
        expects="the path of a private key",
        example='"~/.ssh/id_ed25519"',
        check=value_checks.private_key_path,
        help="A private key to offer first.",
        user_only=True,
        is_path=True,
    ),
    Key(
        path="sandboxes.NAME.known_hosts",
        variable="SANDBOX_OPS_KNOWN_HOSTS",
        kind=str,
        expects="the path of a known_hosts file",
        example='"~/.ssh/known_hosts"',
        check=value_checks.known_hosts_path,
        help="Instead of ssh_config's UserKnownHostsFile.",
        user_only=True,
        is_path=True,
    ),
    Key(
        path="sandboxes.NAME.ssh_config",
        variable="SANDBOX_OPS_SSH_CONFIG",
        kind=str,
        expects="the path of an ssh_config file",
        example='"~/.ssh/config"',
        check=value_checks.one_line,
        help="Instead of ~/.ssh/config, as with `ssh -F`.",
        user_only=True,
        is_path=True,
    ),
    LinkKey(
        path="sandboxes.NAME.link",
        variable="SANDBOX_OPS_LINK",
        kind=str,
        expects=f'{", ".join(settings.LINKS)}, or {{ command = ["WORD", ...] }}',
        example='{ command = ["docker", "exec", "-i", "NAME", "sh"] }',
        check=value_checks.link,
        help="What carries our bytes there; fabric if not set. local is this computer,"
        " and neither it nor a command needs a host.",
        user_only=True,
    ),
    Key(
        path="sandboxes.NAME.workspace",
        variable="SANDBOX_OPS_WORKSPACE",
        kind=str,
        expects="an absolute path on the sandbox",
        example='"/workspace"',
        check=value_checks.workspace,
        help="The folder on the sandbox in which projects live; /workspace if not set.",
    ),
    Key(
        path="sandboxes.NAME.slots",
        variable="SANDBOX_OPS_SLOTS",
        kind=int,
        expects="a number from 1 to 100000",
        example="4",
        check=value_checks.one_line,
        help="How many jobs of its queue without a GPU run at once; as many as it has cores if"
        " not set.",
        most=100_000,
    ),
    Key(
        path="sandboxes.NAME.gpu_share",
        variable="SANDBOX_OPS_GPU_SHARE",
        kind=int,
        expects="a number from 1 to 999",
        example="2",
        check=value_checks.one_line,
        help="How many jobs of its queue may have a GPU at once; 1 if not set.",
        most=999,
    ),
    Key(
        path="sandboxes.NAME.min_free_mem_mib",
        variable="SANDBOX_OPS_MIN_FREE_MEM_MIB",
        kind=int,
        expects="a number of MiB",
        example="20480",
        check=value_checks.one_line,
        help="How much memory of a GPU must be free for a job of its queue.",
        most=10**9,
    ),
    Key(
        path="sandboxes.NAME.mode",
        variable="SANDBOX_OPS_MODE",
        kind=str,
        expects=f"one of {', '.join(policy.MODES)}",
        example='"workflow"',
        check=value_checks.mode,
        help="What may be done there; full if not set. The strictest of all that are said"
        " of a host holds.",
        user_only=True,
    ),
    Key(
        path="sandboxes.NAME.read_roots",
        variable="SANDBOX_OPS_READ_ROOTS",
        kind=tuple,
        expects="a list of absolute paths on the sandbox",
        example='["/workspace"]',
        check=value_checks.absolute,
        help="The folders below which files are read; everywhere if not set.",
        user_only=True,
    ),
    Key(
        path="sandboxes.NAME.deny_read",
        variable="SANDBOX_OPS_DENY_READ",
        kind=tuple,
        expects="a list of patterns of absolute paths, such as */.env",
        example='["*/.ssh/*", "*/.env"]',
        check=value_checks.path_pattern,
        help="What is not read; ssh keys, .env and the credentials of clouds if not set.",
        user_only=True,
    ),
    Key(
        path="sandboxes.NAME.engine",
        variable="SANDBOX_OPS_ENGINE",
        kind=str,
        expects=f"one of {', '.join(settings.ENGINES)}",
        example='"slurm"',
        check=value_checks.engine,
        help="Who starts jobs there; supervisor, the machine itself, if not set. slurm: it is"
        " the login node of a cluster.",
    ),
    *(
        Key(
            path=f"sandboxes.NAME.slurm.{name}",
            variable=f"SANDBOX_OPS_SLURM_{name.upper()}",
            kind=str,
            expects=f"the name of {article} {name}",
            example=example,
            check=value_checks.slurm_name,
            help=f"The {name} of all its jobs; Slurm's default if not set.",
        )
        for name, article, example in (
            ("partition", "a", '"gpu"'),
            ("account", "an", '"my-lab"'),
            ("qos", "a", '"normal"'),
        )
    ),
    Key(
        path="sandboxes.NAME.slurm.extra",
        variable="SANDBOX_OPS_SLURM_EXTRA",
        kind=tuple,
        expects="a list of options of sbatch, such as --mem=64G",
        example='["--cpus-per-task=8", "--mem=64G"]',
        check=value_checks.slurm_option,
        help="More options of sbatch for all jobs there.",
    ),
    Key(
        path="sandboxes.NAME.cost_per_hour",
        variable="SANDBOX_OPS_COST_PER_HOUR",
        kind=float,
        expects="a price, in any currency",
        example="2.49",
        check=value_checks.one_line,
        help="What an hour of the machine costs; `monitor` says what a job has cost.",
    ),
    Key(
        path="sandboxes.NAME.fetch_into",
        variable="SANDBOX_OPS_FETCH_INTO",
        kind=tuple,
        expects="a list of absolute paths on this computer",
        example='["/data/results"]',
        check=value_checks.local_folder,
        help="Folders, beside the local clone, that an agent may fetch into.",
        user_only=True,
    ),
    Key(
        path="sandboxes.NAME.on_idle",
        variable="SANDBOX_OPS_ON_IDLE",
        kind=str,
        expects="a command of this computer",
        example="'stop-my-box \"$SANDBOX_OPS_SANDBOX_NAME\"'",
        check=value_checks.command,
        help="What `on-idle` runs here once nothing runs there and all results are home.",
        user_only=True,
    ),
    Key(
        path="project.repo",
        variable="SANDBOX_OPS_REPO",
        kind=str,
        expects="the URL of a git repository",
        example='"git@github.com:me/project.git"',
        check=value_checks.repo,
        help="Where the sandbox fetches from; the local clone's origin if not set.",
    ),
    Key(
        path="project.branch",
        variable="SANDBOX_OPS_BRANCH",
        kind=str,
        expects="the name of a branch",
        example='"main"',
        check=value_checks.branch,
        help="The branch that is synced; the local clone's current one if not set.",
    ),
    Key(
        path="project.setup",
        variable="SANDBOX_OPS_SETUP",
        kind=tuple,
        expects="a list of commands",
        example='["uv sync"]',
        check=value_checks.command,
        help="Commands that install the environment on the sandbox; detected if not set.",
    ),
    Key(
        path="project.verify",
        variable="SANDBOX_OPS_VERIFY",
        kind=tuple,
        expects="a list of commands",
        example='["uv run pytest -q"]',
        check=value_checks.command,
        help="Commands that must succeed after setup; detected if not set.",
    ),
    Key(
        path="project.setup_inputs",
        variable="SANDBOX_OPS_SETUP_INPUTS",
        kind=tuple,
        expects="a list of paths below the project",
        example='["Cargo.lock", "rust/**/*.rs", "csrc/"]',
        check=value_checks.output,
        help="Files, tracked by git, whose change makes `setup` install again.",
    ),
    Key(
        path="project.env",
        variable="SANDBOX_OPS_ENV",
        kind=dict,
        expects="a table of variables and their values, all in quotes",
        example='{ OMP_NUM_THREADS = "8", HF_HOME = "/data/hf" }',
        check=value_checks.assignment,
        help="Variables of everything that runs in the project there.",
    ),
    Key(
        path="project.path",
        variable="SANDBOX_OPS_PATH",
        kind=tuple,
        expects="a list of folders there: absolute, below ~/, or below the project",
        example='["~/.cargo/bin", "tools"]',
        check=value_checks.program_folder,
        help="Folders that come first in PATH of everything that runs in the project.",
    ),
    Key(
        path="project.links",
        variable="SANDBOX_OPS_LINKS",
        kind=tuple,
        expects="a list of paths below the project",
        example='["data", ".venv"]',
        check=value_checks.output,
        help="What a run's own tree shares with the clone, as links; .venv if not set.",
    ),
    Key(
        path="project.outputs",
        variable="SANDBOX_OPS_OUTPUTS",
        kind=tuple,
        expects="a list of paths below the project",
        example='["models/"]',
        check=value_checks.output,
        help="What `fetch` brings home.",
    ),
    Key(
        path="project.train.command",
        variable="SANDBOX_OPS_TRAIN_COMMAND",
        kind=str,
        expects="a command",
        example='"uv run python train.py --num-steps {steps}"',
        check=value_checks.command,
        help="What `train` starts; {holes} are filled by --set.",
    ),
    Key(
        path="project.train.tree",
        variable="SANDBOX_OPS_TRAIN_TREE",
        kind=str,
        expects="clone or own",
        example='"own"',
        check=value_checks.tree,
        help="Whether trainings run in the clone, or each in a tree of its own.",
    ),
    Key(
        path="project.train.output_size_gb",
        variable="SANDBOX_OPS_TRAIN_OUTPUT_SIZE_GB",
        kind=float,
        expects="a number of gigabytes",
        example="40",
        check=value_checks.one_line,
        help="How much a training writes; what earlier ones wrote if not set.",
    ),
    Key(
        path="project.train.metrics",
        variable="SANDBOX_OPS_TRAIN_METRICS",
        kind=tuple,
        expects="a list of RE2 patterns with named groups",
        example="['score (?P<score>[-+.0-9e]+)']",
        check=value_checks.metric_pattern,
        help="What `monitor` reads as metrics of a log, beside what it knows.",
    ),
    Key(
        path="project.train.progress",
        variable="SANDBOX_OPS_TRAIN_PROGRESS",
        kind=tuple,
        expects="a list of RE2 patterns with the group step, and total, eta, rate if wanted",
        example="['sweep (?P<step>[0-9]+) of (?P<total>[0-9]+)']",
        check=value_checks.progress_pattern,
        help="How far a training is, where `monitor` does not read it by itself.",
    ),
    Key(
        path="project.train.best",
        variable="SANDBOX_OPS_TRAIN_BEST",
        kind=str,
        expects="the name of a metric, perhaps with min: or max: before it",
        example='"max:accuracy"',
        check=value_checks.best_metric,
        help="which run of a sweep is the best; the one of the lowest loss if not set",
    ),
)

SECRETS = ("secrets", "secret_files")
FLEET = ("groups", "order", "avoid")
NOTIFY = tuple(key.path for key in KEYS if key.path.startswith("notify."))
"""What is neither of one sandbox nor of the project."""
BY_PATH: dict[str, Key] = {key.path: key for key in KEYS}

# The names of the original guide. They make a sandbox where no file describes one.
SSH_VARIABLES: dict[str, Key] = {
    "SSH_HOST": BY_PATH["sandboxes.NAME.host"],
    "SSH_PORT": BY_PATH["sandboxes.NAME.port"],
    "SSH_KEY_PATH": BY_PATH["sandboxes.NAME.identity_file"],
}
VARIABLES: dict[str, Key] = SSH_VARIABLES | {key.variable: key for key in KEYS}
