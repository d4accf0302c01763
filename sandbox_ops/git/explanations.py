"""What git's complaints mean, and what to do about each. Pure.

Git has one exit code for nearly everything, so the text is all there is; our calls
run under LC_ALL=C, where it does not change with the language. The text may be a
machine's: every pattern here takes time in proportion to it, no repetition is unbounded.
"""

import re

from sandbox_ops.errors import (
    DeniedError,
    NextStep,
    NotFoundError,
    RefusedError,
    SandboxError,
    UsageError,
)

_NO_ACCESS = (
    "Check the URL, and give that account access: add its public key (~/.ssh/id_ed25519.pub) to the "
    "repository as a deploy key, or set up a git credential helper."
)
_UNKNOWN_HOST = (
    "The git server's host key is not known there. Compare it with the one that the "
    "server publishes, then: ssh-keyscan HOST >> ~/.ssh/known_hosts"
)
_NO_NETWORK = (
    "The git server cannot be reached from {where}: check its network and proxy."
)
_NEEDS_NO_SERVER = (_UNKNOWN_HOST, _NO_ACCESS, _NO_NETWORK)
"""Where the git server is what hinders."""

_NO_SPACE = "Make room on that file system, then try again: df -h; df -i"
_MEANINGS: tuple[tuple[str, type[SandboxError], str], ...] = (
    (r"Host key verification failed", DeniedError, _UNKNOWN_HOST),
    (
        (
            r"Permission denied \(|Authentication failed|could not read (User|Pass)"
            r"|terminal prompts disabled|Repository not found|access denied"
            r"|requested URL returned error: 40[134]"
        ),
        DeniedError,
        _NO_ACCESS,
    ),
    (
        r"repository '[^'\n]{0,999}' does not exist|does not appear to be a git repo",
        NotFoundError,
        "Check `repo` under [project]; the machine must be able to reach that URL.",
    ),
    (
        r"Remote branch [^\n]{0,300} not found|couldn't find remote ref",
        NotFoundError,
        "Push the branch first: git push -u origin HEAD",
    ),
    (
        r"No space left on device|Disk quota exceeded|unable to write file",
        RefusedError,
        _NO_SPACE,
    ),
    (
        r"dubious ownership",
        DeniedError,
        (
            "Another account owns the clone. If you trust it: "
            "git config --global --add safe.directory PATH"
        ),
    ),
    (
        (
            r"Could not resolve host|Connection (timed out|refused)|unable to access"
            r"|Network is unreachable|No route to host|early EOF|hung up unexpectedly"
        ),
        RefusedError,
        _NO_NETWORK,
    ),
    (
        r"not our ref|Fetched in submodule path",
        RefusedError,
        (
            "A submodule's commit was never pushed: "
            "git push --recurse-submodules=on-demand"
        ),
    ),
    (
        r"\.lock': File exists|Another git process",
        RefusedError,
        (
            "Another git command runs in that clone, or one was cut off. "
            "When none runs any more, remove the .lock file that it names."
        ),
    ),
    (r"Permission denied", DeniedError, "Check who owns that folder: ls -ld PATH"),
)
_NOT_IN_A_NAME = re.compile(
    r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|^[-./]|[./]$|^@$"
)
_PASSWORD = re.compile(r"^([a-z][a-z0-9+.-]{0,20}://)([^/@]{0,1000})@", re.IGNORECASE)
_URL = re.compile(r"[a-z][a-z0-9+.-]{0,20}://([^/]*)/+(.*)", re.IGNORECASE)
_SCP_LIKE = re.compile(r"([^/:]+):(?!//)(.*)")


def explain(
    stderr: str, *, where: str = "the machine", serverless: NextStep | None = None
) -> SandboxError:
    """Return the error that git's stderr stands for, with what to do next.

    Args:
        stderr: What git said.
        where: It ran.
        serverless: What does the same without the git server; None: nothing does.
    """
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    message = (
        without_password("\n".join(lines[-8:])) or "git failed and printed nothing"
    )
    for pattern, error, hint in _MEANINGS:
        if re.search(pattern, stderr):
            steps = (serverless,) if hint in _NEEDS_NO_SERVER and serverless else ()
            if hint is _NO_NETWORK:
                hint = hint.format(where=where)  # noqa: PLW2901 - the row is a template
            return error(message, hint, *steps)
    return RefusedError(message)


def check_branch(name: str) -> str:
    """Return `name` if it can be a branch, by the rules of git-check-ref-format(1).

    Raises:
        UsageError: If not, or where git would read it as an option.
    """
    if not name or _NOT_IN_A_NAME.search(name):
        raise UsageError(
            f"{name!r} is not a branch name",
            "Set `branch` under [project], or check out a branch: git switch main",
        )
    return name


def without_password(text: str) -> str:
    """Return `text` with the password of every URL in it blanked out."""
    return re.sub(r"(://[^/\s:@]{0,200}):[^/\s@]{0,500}@", r"\1:***@", text)


def has_password(url: str) -> bool:
    """Return whether `url` carries a password or a token."""
    match = _PASSWORD.match(url)
    return match is not None and (":" in match[2] or match[1].startswith("http"))


def same_repository(one: str, other: str) -> bool:
    """Return whether two URLs name one repository, however each is reached."""
    return _place(one) == _place(other)


def _place(url: str) -> tuple[str, str]:
    """Return host and path of `url`: ssh, https and `git@host:path` forms agree."""
    match = _URL.fullmatch(url) or _SCP_LIKE.fullmatch(url)
    host, path = match.groups() if match else ("", url)
    if match is None or url.lower().startswith("file:"):
        return "", "/" + _bare(path)
    host = host.rpartition("@")[2].partition(":")[0].lower()
    return host, _bare(path)


def _bare(path: str) -> str:
    return path.strip("/").removesuffix(".git").rstrip("/")
