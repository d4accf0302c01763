"""What a clone's own configuration may not say: programs, helpers, weaker checks.

`runner` switches off what has a switch. A filter driver, a transfer command or a
credential helper has none: there git is not called at all, and the setting is named.
The user's own (global) configuration may say all of it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox_ops.errors import DeniedError, RefusedError
from sandbox_ops.git import runner

_LOOK_S = 10
_OF_THE_CLONE = frozenset({"local", "worktree"})
_REFUSED = re.compile(
    r"filter\..+\.(clean|smudge|process)"
    r"|lfs\.(extension|customtransfer)\..+|lfs\.standalonetransferagent"
    r"|core\.(alternaterefscommand|gitproxy)"
    r"|remote\..+\.(uploadpack|receivepack|vcs)"
    r"|credential\.(.+\.)?(helper|protectprotocol)"
    r"|http\.(.+\.)?(savecookies|cookiefile|sslverify|sslcainfo|sslcapath"
    r"|delegation|emptyauth)",
    re.DOTALL,
)
# What `git lfs install --local` and `git config credential.helper store` write.
_HARMLESS = re.compile(
    r"filter\.lfs\.(clean|smudge|process)\ngit-lfs (clean|smudge)( --skip)? -- %f"
    r"|filter\.lfs\.process\ngit-lfs filter-process( --skip)?"
    r"|credential\.(.+\.)?helper\n[A-Za-z0-9-]*"
    r"|http\.(.+\.)?sslverify\n(true|1|yes|on)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserConfig:
    """What of the user's own configuration our calls need.

    Attributes:
        ssh: The ssh command; "" where none is configured.
        ignored_ssh: The ssh command of the clone's own configuration, which is not used.
    """

    ssh: str = ""
    ignored_ssh: str = ""


def check(root: str | Path) -> UserConfig:
    """Check a clone's configuration before git works in it, submodules included.

    Raises:
        DeniedError: It names a program, or weakens a check; says which setting.
        RefusedError: git cannot read it.
    """
    config = _check_one(Path(root))
    for submodule in _submodules(Path(root)):
        _check_one(submodule)
    return config


def judge(listed: str, root: str | Path) -> UserConfig:
    """Return what `git config --list --null --show-scope` says. Pure.

    Raises:
        DeniedError: The clone's own configuration says what it may not.
    """
    ssh: Mapping[bool, str] = {}
    fields = listed.split("\0")
    for scope, setting in zip(fields[::2], fields[1::2], strict=False):
        key, _, value = setting.partition("\n")
        own = scope in _OF_THE_CLONE
        if key == "core.sshcommand":
            ssh = {**ssh, own: value}
        if own and _REFUSED.fullmatch(key) and not _HARMLESS.fullmatch(setting):
            raise DeniedError(
                f"the clone's own configuration in {root} sets {key}, with which git "
                "could run programs or send secrets elsewhere: git is not called there",
                f"If it is yours, move it to your own: git config --global {key} ...; "
                f"git -C {root} config --unset-all {key}",
            )
    return UserConfig(ssh=ssh.get(False, ""), ignored_ssh=ssh.get(True, ""))


def _check_one(folder: Path) -> UserConfig:
    listing = ("config", "--list", "--null", "--show-scope")
    done = runner.run(folder, *listing, timeout_s=_LOOK_S)
    if done.returncode:
        raise RefusedError(
            f"git cannot read the configuration of {folder}: "
            f"{done.stderr.decode('utf-8', 'replace').strip()}",
            f"See what is wrong: git -C {folder} config --list",
        )
    return judge(done.stdout.decode("utf-8", "surrogateescape"), folder)


def _submodules(root: Path) -> Iterator[Path]:
    """Yield the submodules that are checked out, outer ones first.

    Without a .gitmodules `local` has git leave them alone.
    """
    return _nested(root) if (root / ".gitmodules").exists() else iter(())


def _nested(folder: Path) -> Iterator[Path]:
    listing = ("ls-files", "--stage", "-z")
    done = runner.run(folder, *listing, timeout_s=_LOOK_S)
    for entry in done.stdout.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, name = entry.partition("\t")
        if facts.startswith("160000 ") and (folder / name / ".git").exists():
            yield folder / name
            yield from _nested(folder / name)
