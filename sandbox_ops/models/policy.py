"""What each mode lets be done: one table of every action and of what it changes. Pure.

The user sets a mode for a machine in their own configuration. It is asked at the door
(`Sandbox`), so that no face can forget it. What is not in the table is not done.
"""

import enum
from dataclasses import dataclass

from sandbox_ops.errors import ConfigError, DeniedError

FULL = "full"
WORKFLOW = "workflow"
READ_ONLY = "read-only"
MODES = (READ_ONLY, WORKFLOW, FULL)
"""The strictest first."""

DENY_READ = (
    "*/.ssh/*", "*/.gnupg/*", "*/id_rsa", "*/id_ecdsa", "*/id_ed25519", "*.pem",
    "*/.env", "*/.env.*", "*/.netrc", "*/.git-credentials", "*/.pypirc", "*/.npmrc",
    "*/.aws/*", "*/.azure/*", "*/.config/gcloud/*", "*/.oci/*", "*/.kube/config",
    "*/.docker/config.json", "*/.config/gh/hosts.yml", "*/.cache/huggingface/token",
    "*/.config/wandb/*", "*/.kaggle/*", "/proc/*/environ", "/etc/shadow*",
    "*/.sandbox-ops/*/env", "*/.sandbox-ops/*/notify*",
)  # fmt: skip
"""Patterns of paths that are not read, where the user names none of their own."""


class Changes(enum.Enum):
    """What an action can change."""

    NOTHING = "nothing"
    COMPUTER = "this computer"
    SANDBOX = "the sandbox"
    ANYTHING = "anything: the caller says what runs"


@dataclass(frozen=True, slots=True)
class Action:
    """One kind of thing that is done.

    Attributes:
        changes: What it can change.
        destroys: Whether what was there may be gone afterwards: it is not done where it
            cannot be noted in the audit log.
    """

    changes: Changes
    destroys: bool = False


_READS = Action(Changes.NOTHING)
_HERE = Action(Changes.COMPUTER)
_THERE = Action(Changes.SANDBOX)
_FREE = Action(Changes.ANYTHING)

ACTIONS: dict[str, Action] = {
    # what people and agents ask for
    "jobs": _READS,
    "logs": _READS,
    "wait": _READS,
    "events": _READS,
    "read": _READS,
    "monitor": _READS,
    "runs": _READS,
    "show": _READS,
    "diff": _READS,
    "doctor": _READS,
    "audit": _READS,
    "train --dry-run": _READS,
    "reset --dry-run": _READS,
    "fetch --dry-run": _READS,
    "put --dry-run": _READS,
    "on-idle --dry-run": _READS,
    "run": _FREE,
    "start": _FREE,
    "train --": _FREE,
    "shell": _FREE,
    "connection": _FREE,
    "tunnel": _FREE,
    "login": _HERE,
    "upload": Action(Changes.ANYTHING, destroys=True),
    "put": _FREE,
    "put --overwrite": Action(Changes.ANYTHING, destroys=True),
    "setup": _THERE,
    "push": _THERE,
    "sync": Action(Changes.SANDBOX, destroys=True),
    "train": _THERE,
    "stop": Action(Changes.SANDBOX, destroys=True),
    "pin": _THERE,
    "move": _THERE,
    "label": _THERE,
    "reset": Action(Changes.SANDBOX, destroys=True),
    "download": _HERE,
    "fetch": _HERE,
    "fetch --watch": _HERE,
    "fetch --push": _THERE,
    "on-idle": Action(Changes.COMPUTER, destroys=True),
    "on-idle command": Action(Changes.COMPUTER, destroys=True),
    "fetch --overwrite": Action(Changes.COMPUTER, destroys=True),
    "trust": Action(Changes.COMPUTER, destroys=True),
    "allow": Action(Changes.COMPUTER, destroys=True),
    # our own scripts, which are steps of those
    "script doctor_look": _READS,
    "script slurm_look": _READS,
    "script session_look": _READS,
    "script env_look": _READS,
    "script files_list": _READS,
    "script files_sum": _READS,
    "script files_nearest": _READS,
    "script run_curves": _READS,
    "script job_processes": _READS,
    "script put_look": _READS,
    "script repo_access": _READS,
    "script repo_facts": _READS,
    "script repo_have": _READS,
    "script repo_patch": _READS,
    "script env_verify": _THERE,
    "script log_link": _THERE,
    "script notify_claim": _THERE,
    "script notify_arm": _THERE,
    "script own_tree": _THERE,
    "script own_tree_edits": _THERE,
    "script own_tree_patch": _THERE,
    "script own_tree_remove": _THERE,
    "script results_push": _THERE,
    "script lease_take": _THERE,
    "script lease_keep": _THERE,
    "script repo_checkout": Action(Changes.SANDBOX, destroys=True),
    "script repo_clone": _THERE,
    "script repo_commit": _THERE,
    "script repo_fetch": _THERE,
    "script repo_receive": _THERE,
    "script repo_reset": Action(Changes.SANDBOX, destroys=True),
    "script repo_settle": _THERE,
    "script repo_submodules": _THERE,
}


def allows(mode: str, action: str) -> bool:
    """Return whether a mode lets an action be done; one that is not known is not.

    Raises:
        ConfigError: There is no such mode.
    """
    if mode not in MODES:
        raise ConfigError(f"there is no mode {mode!r}: expected {', '.join(MODES)}")
    known = ACTIONS.get(action)
    if known is None:
        return False
    if mode == READ_ONLY:
        return known.changes is Changes.NOTHING
    return mode == FULL or known.changes is not Changes.ANYTHING


def check(mode: str, action: str, *, sandbox: str, where: str) -> None:
    """Refuse an action that a machine's mode does not allow.

    Args:
        mode: The machine's.
        action: As the table has it.
        sandbox: The machine's name.
        where: Where its mode is set, for the message.

    Raises:
        DeniedError: It names the mode, what the action changes, and where it is set.
        ConfigError: There is no such mode.
    """
    if allows(mode, action):
        return
    known = ACTIONS.get(action)
    why = f"can change {known.changes.value}" if known else "is no known action"
    raise DeniedError(
        f"{sandbox} is in {mode} mode: `{action}` is refused, for it {why}",
        f"The user sets the mode in {where}." if where else "",
    )


def strictest(modes: tuple[str, ...]) -> str:
    """Return the strictest of some modes; `full` where there is none."""
    return min(modes, key=MODES.index, default=FULL)
