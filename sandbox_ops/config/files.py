"""Reading configuration files of this computer: whose they are is checked first.

A file decides where commands go. So it has to be ours or root's, nobody else may be able
to write it, and it is a plain file of a bounded size: a FIFO or a device is refused
instead of waited for.
"""

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from sandbox_ops.errors import ConfigError
from sandbox_ops.guard.user_folders import configuration_folder

MAX_BYTES = 1 << 20
USER_FILE = "config.toml"


def user_file(environ: Mapping[str, str]) -> Path:
    """Return where the user's own configuration is, or would be."""
    return configuration_folder(environ) / USER_FILE


def read(file: Path) -> str:
    """Return the text of a configuration file.

    Raises:
        ConfigError: It is somebody else's, others may write it, it is no plain file of
            at most 1 MiB, not UTF-8, or cannot be read.
    """
    try:
        data = _read(file)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: not UTF-8 text (at byte {error.start})", "Save it as UTF-8."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror}", f"Look at it: ls -l {file}"
        ) from error


def _read(file: Path) -> bytes:
    if not owned(os.lstat(file)):
        raise _foreign(file, os.lstat(file))
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        check_plain(file, status)
        if not owned(status):
            raise _foreign(file, status)
        if others_may_write(status):
            raise ConfigError(
                f"{file} is not read: others may write it "
                f"(mode {stat.S_IMODE(status.st_mode):04o})",
                f"Check what it says, then: chmod go-w {file}",
            )
        return opened.read(MAX_BYTES)


def check_plain(file: Path, status: os.stat_result) -> None:
    """Refuse what is no plain file of a bounded size.

    Raises:
        ConfigError: It is something else; names it.
    """
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{file} is not a regular file", f"Look at it: ls -l {file}")
    if status.st_size > MAX_BYTES:
        raise ConfigError(
            f"{file} has {status.st_size} bytes: expected at most {MAX_BYTES}",
            f"Look at it: ls -l {file}",
        )


def owned(status: os.stat_result) -> bool:
    """Whether a file is ours or root's."""
    return status.st_uid in (0, os.geteuid())


def others_may_write(status: os.stat_result) -> bool:
    """Whether a mode lets somebody else write; a group that is ours alone does not."""
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _own_group(status.st_gid)


def _own_group(gid: int) -> bool:
    """Whether a group is the one that was made for our account, as Debian does."""
    try:
        account, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return False
    return (
        account.pw_gid == gid
        and group.gr_name == account.pw_name
        and set(group.gr_mem) <= {account.pw_name}
    )


def _foreign(file: Path, status: os.stat_result) -> ConfigError:
    try:
        owner = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        owner = f"uid {status.st_uid}"
    return ConfigError(
        f"{file} is not read: it belongs to {owner}, who could choose machines for you",
        f"If you want what it says, copy it and remove it: ls -l {file}",
    )


def is_file(path: Path) -> bool:
    """Whether there is something that has to be read or refused: no folder."""
    try:
        return path.exists() and not path.is_dir()
    except OSError:  # a folder on the way up that we may not look into
        return False


def searched(cwd: Path, home: Path) -> Iterator[Path]:
    """Yield the folders in which a project's file is looked for, the nearest first.

    From the working directory up to the top of the work tree, or the home; where it is
    in neither, as long as nobody else may put a file there.
    """
    folders = (cwd, *cwd.parents)
    top = next((each for each in folders if is_work_tree(each)), None)
    last = top or next((each for each in folders if each == home), None)
    for folder in folders:
        if last is None and folder != cwd and not _only_ours(folder):
            return
        yield folder
        if folder == last:
            return


def is_work_tree(folder: Path) -> bool:
    """Whether a folder is the top of a work tree that is ours or root's."""
    try:
        return owned(os.lstat(folder / ".git"))
    except OSError:
        return False


def work_trees(folder: Path) -> Iterator[Path]:
    """Yield the work trees around a folder, the nearest first."""
    resolved = folder.resolve()
    return (each for each in (resolved, *resolved.parents) if is_work_tree(each))


def _only_ours(folder: Path) -> bool:
    try:
        status = os.lstat(folder)
    except OSError:
        return False
    return owned(status) and not others_may_write(status)
