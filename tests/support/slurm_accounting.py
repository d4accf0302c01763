"""Slurm's accounting on this machine: a slurmdbd, and the MariaDB that it writes to.

Both are private to one cluster: a data folder and a Unix socket of its own, no port that
another machine could reach, no start of a service. The database holds nothing that has to
survive a crash, so it need not wait for the disk.
"""

import subprocess
from collections.abc import Callable
from pathlib import Path

from waiting import wait_until

Spawn = Callable[..., "subprocess.Popen[bytes]"]
"""Starts a program that the cluster ends: its words, and what its environment has more."""

_SYSTEM_TABLES = Path("/usr/share/mysql/mysql_system_tables.sql")
_START_S = 30.0
_SLURMDBD_CONF = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounting
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""


def start_database(folder: Path, port: int, spawn: Spawn) -> None:
    """Make a database and start it, and configure slurmdbd for it.

    Args:
        folder: The cluster's, with munge's socket and slurm.conf.
        port: slurmdbd's.
        spawn: Starts a program that the cluster ends.
    """
    data, database = folder / "database", folder / "database.sock"
    options = (
        "mariadbd", "--no-defaults", "--user=root", f"--datadir={data}",
        "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=4M",
        "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0",
        "--aria-pagecache-buffer-size=1M", "--key-buffer-size=1M",
    )  # fmt: skip
    data.mkdir()
    subprocess.run(
        (*options, "--bootstrap"),
        input=b"create database mysql;\nuse mysql;\n" + _SYSTEM_TABLES.read_bytes(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=_START_S,
        check=True,
    )
    spawn(*options, f"--socket={database}", "--skip-networking", "--skip-grant-tables")
    wait_until(database.exists, _START_S, what="a MariaDB that answers")
    configuration = folder / "slurmdbd.conf"
    configuration.touch(0o600)
    configuration.write_text(_SLURMDBD_CONF.format(folder=folder, port=port))


def start_slurmdbd(folder: Path, spawn: Spawn) -> None:
    """Start slurmdbd, and wait until it listens."""
    log = folder / "slurmdbd.log"
    log.unlink(missing_ok=True)
    spawn("slurmdbd", "-D", MYSQL_UNIX_PORT=str(folder / "database.sock"))
    wait_until(
        lambda: log.exists() and " started" in log.read_text(),
        _START_S,
        what="a slurmdbd that answers",
    )
