"""Commits of the local clone as one file that a clone elsewhere can fetch from.

It is a git bundle (gitformat-bundle(5)); its header is written here, because `git bundle`
takes only commits that a ref of the clone leads to, and no ref is made for this.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox_ops.errors import RefusedError
from sandbox_ops.git import clone_config, runner

_PACK_S = 3600
_SHA256_LENGTH = 64


def known(root: str, commits: Sequence[str]) -> tuple[str, ...]:
    """Return those of some commits that are in the clone at `root`.

    Raises:
        DeniedError: The clone's own configuration names programs.
    """
    if not commits:
        return ()
    clone_config.check(root)
    asked = "".join(f"{commit}\n" for commit in commits).encode()
    done = runner.run(root, "cat-file", "--batch-check", stdin=asked)
    objects = [line.split() for line in done.stdout.decode().splitlines()]
    return tuple(each[0] for each in objects if len(each) > 1 and each[1] == "commit")


def write(
    root: str,
    path: Path,
    refs: Mapping[str, str],
    have: Sequence[str],
    environ: Mapping[str, str] | None = None,
) -> None:
    """Write a bundle with what leads to some commits, without what is there already.

    Args:
        root: The clone.
        path: The file; it is made.
        refs: What the fetching clone finds: names of refs, each with its commit.
        have: Commits that the fetching clone has.
        environ: Where the objects are; None: where the clone has them.

    Raises:
        RefusedError: git cannot pack them; a shallow clone lacks commits, say.
        DeniedError: The clone's own configuration names programs.
    """
    clone_config.check(root)
    commits = tuple(dict.fromkeys(refs.values()))
    wide = any(len(commit) == _SHA256_LENGTH for commit in commits)
    lines = (
        ["# v3 git bundle", "@object-format=sha256"] if wide else ["# v2 git bundle"]
    )
    lines += [f"-{commit}" for commit in have]
    lines += [f"{commit} {ref}" for ref, commit in refs.items()]
    wanted = "".join(f"{line}\n" for line in (*commits, *(f"^{each}" for each in have)))
    options = ("--revs", "--stdout", "--thin", "--delta-base-offset", "-q")
    with path.open("wb") as file:
        file.write(os.fsencode("\n".join(lines) + "\n\n"))
        file.flush()
        done = runner.run(
            *(root, "pack-objects", *options),
            environ=environ,
            stdin=wanted.encode(),
            into=file,
            timeout_s=_PACK_S,
        )
    if done.returncode:
        git_message = done.stderr.decode("utf-8", "replace").strip()
        raise RefusedError(
            f"git cannot pack the commits of {root}: {git_message[-500:]}"
        )
