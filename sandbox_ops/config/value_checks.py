"""What a setting's value may be. Pure.

A check takes a value and returns it, tidied; what it refuses it tells, in a ValueError,
as the end of a sentence that begins with "it". The file lies in a repository, which is
not trusted: a value must not turn into an option, into shell text, or into a path out
of the project.
(Over 250 lines: a function of a few lines for each kind of value.)
"""

import re
from collections.abc import Callable, Sequence

from sandbox_ops.errors import UsageError
from sandbox_ops.models import notifications, policy, settings
from sandbox_ops.text import address


def number(value: int, most: int) -> int:
    """Check a count or a TCP port; the refusal needs no words, for the range is expected."""
    if not 1 <= value <= most:
        raise ValueError
    return value


def one_line(value: str) -> str:
    """Check what is shown in one line: a path, a URL, a name."""
    if not value.strip():
        raise ValueError("is empty")
    if not value.isprintable():
        raise ValueError("has control characters")
    return value


def private_key_path(value: str) -> str:
    """Check a path that goes to ssh as `-i`, which expands `%` and `${}` in it."""
    if expanded := next((sign for sign in "%$" if sign in one_line(value)), ""):
        raise ValueError(f"has {expanded}, which ssh would expand")
    return value


def known_hosts_path(value: str) -> str:
    """Check a path that goes to ssh as UserKnownHostsFile, which is a list of files."""
    for sign in private_key_path(value):
        if sign.isspace() or sign in "\"'\\":
            raise ValueError(f"has {sign!r}, at which ssh would split or unquote it")
    return value


_MOST = 1e9


def amount(text: str) -> float:
    """Check a price or a size; the refusal needs no words, for a number is expected."""
    try:
        number = float(text)
    except ValueError:
        raise ValueError from None
    if not 0 <= number <= _MOST:
        raise ValueError
    return number


def tree(value: str) -> str:
    """Check where trainings run; the refusal needs no words, for both are expected."""
    if value not in {"clone", "own"}:
        raise ValueError
    return value


def assignment(value: str) -> str:
    """Check NAME=VALUE: a variable for commands there that is none of ours."""
    name, _, text = value.partition("=")
    if not (name.isascii() and name.isidentifier()):
        raise ValueError(f"has {name!r}, which cannot name a variable")
    if name.startswith("SANDBOX_"):
        raise ValueError(f"sets {name}, and names with SANDBOX_ are ours")
    if "\0" in text:
        raise ValueError("has a NUL character")
    return value


def program_folder(value: str) -> str:
    """Check a folder for PATH there: one line, and no colon, which would make it two."""
    if ":" in one_line(value):
        raise ValueError("has a colon, at which PATH is split")
    if value.startswith("~") and not value.startswith("~/"):
        raise ValueError("names another user's home")
    return value


def command(value: str) -> str:
    """Check a command for the sandbox: any text that a process can be given."""
    if not value.strip():
        raise ValueError("is empty")
    if "\0" in value:
        raise ValueError("has a NUL character")
    return value


def metric_pattern(value: str) -> str:
    """Check a pattern that reads metrics from a log."""
    from sandbox_ops.text import log_patterns  # every start would pay for it

    return _pattern(log_patterns.check_metrics, value)


def progress_pattern(value: str) -> str:
    """Check a pattern that reads from a log how far a training is."""
    from sandbox_ops.text import log_patterns

    return _pattern(log_patterns.check_progress, value)


def best_metric(value: str) -> str:
    """Check which metric makes a run the best, and which way."""
    from sandbox_ops.text import best_metric as metric

    try:
        metric.read(value)
    except UsageError:
        raise ValueError("is none") from None
    return value


def _pattern(check: Callable[[str], None], value: str) -> str:
    try:
        check(one_line(value))
    except UsageError as error:
        raise ValueError(f"cannot be used: {error.message}") from None
    return value


def sandbox_name(value: str) -> str:
    """Check a sandbox's name: it goes into messages, file names and lists of names."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value):
        raise ValueError("has other characters than letters, digits and . _ -")
    return value


def host(value: str) -> str:
    """Check `[user@]host[:port]`; it stays as it was written."""
    address.read(value)
    return value


def workspace(value: str) -> str:
    """Check an absolute path on the sandbox; a slash at the end goes."""
    if not one_line(value).startswith("/"):
        raise ValueError("is not absolute")
    return value.rstrip("/") or "/"


def variable_name(value: str) -> str:
    """Check the name of an environment variable."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError("is not the name of a variable")
    return value


def mode(value: str) -> str:
    """Check a mode; the refusal needs no words, for those there are are expected."""
    if value not in policy.MODES:
        raise ValueError
    return value


def yes_or_no(value: str) -> str:
    """Check a yes or a no; the refusal needs no words."""
    if value not in {"yes", "no"}:
        raise ValueError
    return value


def notify_format(value: str) -> str:
    """Check how a webhook wants its messages; the refusal needs no words."""
    if value not in notifications.FORMATS:
        raise ValueError
    return value


def notify_event(value: str) -> str:
    """Check what is told of; the refusal needs no words."""
    if value not in notifications.KINDS:
        raise ValueError
    return value


def absolute(value: str) -> str:
    """Check an absolute path on the sandbox; a slash at the end goes."""
    return workspace(value)


def path_pattern(value: str) -> str:
    """Check a pattern that is held against absolute paths."""
    if not one_line(value).startswith(("/", "*")):
        raise ValueError(
            "begins neither with / nor with *, and so fits no absolute path"
        )
    return value


def local_folder(value: str) -> str:
    """Check an absolute path on this computer; a slash at the end goes."""
    if not one_line(value).startswith("/") or ".." in value.split("/"):
        raise ValueError("is not absolute")
    return value.rstrip("/") or "/"


def repo(value: str) -> str:
    """Check a URL: git takes `-x` for an option, and runs a program for `NAME::x`."""
    if value.startswith("-"):
        raise ValueError('begins with "-"')
    if re.match(r"[A-Za-z0-9+.-]+::", value):
        raise ValueError("names a transport program")
    return one_line(value)


def branch(value: str) -> str:
    """Check a branch by what git-check-ref-format(1) forbids."""
    if value.startswith("-"):
        raise ValueError('begins with "-"')
    if re.search(r"[\s~^:?*\[\\]|\.\.|@\{|//|\.lock$|[./]$|^[./]", one_line(value)):
        raise ValueError("is not a branch name that git takes")
    return value


def output(value: str) -> str:
    """Check a path that comes home: never outside the clone, never into .git."""
    parts = one_line(value).split("/")
    if value.startswith(("/", "~", "-")) or ".." in parts:
        raise ValueError("is not a path below the project")
    if ".git" in (part.lower() for part in parts):
        raise ValueError("leads into .git")
    return value


def link(value: str) -> str:
    """Check the name of a link; the refusal needs no words, for those are expected."""
    if value not in settings.LINKS:
        raise ValueError
    return value


def link_command(words: Sequence[object]) -> tuple[str, ...]:
    """Check the words of a command that leads to a shell."""
    if not words:
        raise ValueError("is empty")
    if not all(isinstance(word, str) for word in words):
        raise ValueError
    checked = tuple(one_line(str(word)) for word in words)
    if checked[0].startswith("-"):
        raise ValueError('begins with "-"')
    return checked


def group(value: str) -> str:
    """Check `NAME=one,two`: a group of sandboxes."""
    name, equals, members = value.partition("=")
    if not equals or not members.strip(","):
        raise ValueError("is no NAME=one,two")
    if name in {"all", "any"}:
        raise ValueError(f"is named {name}, which means other sandboxes already")
    for each in (name, *members.split(",")):
        sandbox_name(each)
    return value


def engine(value: str) -> str:
    """Check who starts jobs; the refusal needs no words, for those are expected."""
    if value not in settings.ENGINES:
        raise ValueError
    return value


def slurm_name(value: str) -> str:
    """Check a partition, or several with commas between, an account or a QOS."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.,@+-]*", value):
        raise ValueError("has other characters than letters, digits and . , _ @ + -")
    return value


_OUR_OPTIONS = frozenset(
    [
        "array",
        "chdir",
        "clusters",
        "comment",
        "dependency",
        "error",
        "export",
        "export-file",
        "help",
        "input",
        "job-name",
        "kill-on-invalid-dep",
        "no-requeue",
        "open-mode",
        "output",
        "parsable",
        "quiet",
        "requeue",
        "signal",
        "test-only",
        "time",
        "usage",
        "version",
        "verbose",
        "wait",
        "wrap",
    ]
)


def slurm_option(value: str) -> str:
    """Check `--name` or `--name=value`, which is none of those that we set ourselves."""
    match = re.fullmatch(r"--([a-z][a-z-]*)(=.+)?", one_line(value))
    if not match:
        raise ValueError("is no --option or --option=value of sbatch")
    for ours in _OUR_OPTIONS:
        if ours.startswith(match[1]):  # sbatch takes every beginning that is clear
            raise ValueError(f"sets --{ours}, which is sandbox-ops's own")
    return value
