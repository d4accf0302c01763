"""What a project's folder on the sandbox is called: the last segment of its URL. Pure."""

import re

from sandbox_ops.errors import ConfigError


def project_name(url: str) -> str:
    """Return the last segment of a git URL without `.git`.

    Takes what git takes: https://, ssh://, `user@host:path` and paths, also of a
    repository's own `.git` folder.

    Raises:
        ConfigError: It would not do as the name of a folder.
    """
    path = url.strip().rstrip("/").removesuffix("/.git").rstrip("/")
    name = re.split("[/:]", path)[-1].removesuffix(".git")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or name in {".", ".."}:
        raise ConfigError(
            f"the repository {url!r} gives the project no name: the last part of the "
            "URL, without .git, may have letters, digits and . _ - only",
            'Set another URL: in sandbox.toml, repo = "..." below [project].',
        )
    return name
