"""sandboxes: the user's machines listed, added, removed and imported."""

import json
import subprocess
from pathlib import Path

import pytest
from command_line import PROGRAM, cli
from sshd import SshServer

START = """\
# my machines
default = "a"   # the good one

[sandboxes.a]
link = "local"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The user's own configuration."""
    path = tmp_path / "config" / "sandbox-ops" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(START)
    path.chmod(0o600)
    return path


def verb(file: Path, *words: str, home: str = "") -> subprocess.CompletedProcess[str]:
    folder = file.parents[2]
    env = {"XDG_CONFIG_HOME": str(folder / "config")}
    if home:
        env["HOME"] = home
    return cli("sandboxes", *words, cwd=folder, env=env)


def test_each_machine_is_listed_with_how_it_is_and_a_dead_one_with_the_reason(
    file: Path, sshd: SshServer
) -> None:
    file.write_text(
        f'{START}\n[sandboxes.box]\nhost = "box"\nssh_config = "{sshd.ssh_config}"\n'
        '[sandboxes.dead]\nhost = "127.0.0.1"\nport = 1\n'
    )
    done = verb(file, "--json")
    assert done.returncode == 1
    machines = {each["name"]: each for each in json.loads(done.stdout)["sandboxes"]}
    assert {n: m["reachable"] for n, m in machines.items()} == {
        "a": True, "box": True, "dead": False,
    }  # fmt: skip
    assert machines["box"].keys() >= {
        "name",
        "host",
        "reachable",
        "gpus",
        "load",
        "jobs",
    }
    assert "connection refused" in machines["dead"]["error"]
    rows = verb(file).stdout.splitlines()
    assert [row.split()[:3] for row in rows[1:4]] == [
        ["a", "a", "ok"], ["box", "box", "ok"], ["dead", "127.0.0.1", "unreachable"],
    ]  # fmt: skip


def test_a_machine_whose_key_is_not_known_is_listed_with_the_command_that_trusts_it(
    file: Path, sshd: SshServer
) -> None:
    nothing = file.parent / "known_hosts"
    file.write_text(
        f'{START}\n[sandboxes.new]\nhost = "box"\nssh_config = "{sshd.ssh_config}"\n'
        f'known_hosts = "{nothing}"\nuser = "nobody"\n'
    )
    shown = verb(file).stdout
    row = next(line for line in shown.splitlines() if line.startswith("new "))
    assert row.split()[-3:] == ["0", "of", "0"]
    assert "sandbox-ops trust --sandbox new\n" in shown


def test_a_machine_is_added_and_removed_and_nothing_else_is_touched(file: Path) -> None:
    words = ("--add", "b", "--host", "me@gpu1:2222", "--workspace", "/data")
    assert verb(file, *words).returncode == 0
    assert file.read_text() == (
        f'{START}\n[sandboxes.b]\nhost = "me@gpu1:2222"\nworkspace = "/data"\n'
    )
    assert verb(file, *words).returncode == 0  # it says so already
    assert verb(file, "--remove", "b").returncode == 0
    assert file.read_text().strip() == START.strip()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_container_is_added_by_its_command(file: Path) -> None:
    assert verb(file, "--add", "c", "--link", "docker exec -i box sh").returncode == 0
    assert 'command = ["docker", "exec", "-i", "box", "sh"]' in file.read_text()


def test_the_first_machine_makes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config" / "sandbox-ops" / "config.toml"
    assert verb(file, "--add", "b", "--host", "gpu1").returncode == 0
    assert file.read_text() == '[sandboxes.b]\nhost = "gpu1"\n'


def test_hosts_of_ssh_config_are_imported_by_pattern_or_by_a_table_on_stdin(
    file: Path, tmp_path: Path
) -> None:
    ssh = tmp_path / "home" / ".ssh"
    (ssh / "sky").mkdir(parents=True)
    (ssh / "config").write_text(
        "Include sky/*\nHost gpu1 gpu2 gpu-*\n  User me\nHost other\n"
    )
    (ssh / "sky" / "one").write_text("Host sky-one\n  HostName 192.0.2.1\n")
    home = str(tmp_path / "home")
    assert verb(file, "--import", "gpu*", home=home).returncode == 0
    assert '[sandboxes.gpu2]\nhost = "gpu2"' in file.read_text()
    assert "gpu-" not in file.read_text()
    assert "other" not in file.read_text()
    done = verb(file, "--import", "nothing*", home=home)
    assert done.returncode == 2
    assert "no Host of ~/.ssh/config fits `nothing*`" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (("--add", "a", "--host", "other"), 75, "describes the sandbox a already"),
        (("--add", "b"), 2, "needs --host, or --link"),
        (("--add", "b", "--host", "-oProxyCommand=x"), 78, "host"),
        (("--remove", "nosuch"), 66, "describes no sandbox nosuch"),
        (("--add", "b", "--host", "x", "--remove", "a"), 2, "at a time"),
        (("--host", "x"), 2, "go with --add"),
    ],
)
def test_what_cannot_be_written_is_refused_and_the_file_stays(
    file: Path, words: tuple[str, ...], code: int, reason: str
) -> None:
    done = verb(file, *words)
    assert (done.returncode, reason in done.stderr) == (code, True), done
    assert file.read_text() == START


def test_a_table_that_does_not_begin_with_hosts_is_refused_with_what_it_begins_with(
    file: Path, tmp_path: Path
) -> None:
    ssh = tmp_path / "home" / ".ssh"
    ssh.mkdir(parents=True)
    (ssh / "config").write_text("Host gpu1\n")
    before = file.read_text()
    table = "ID Machine Status SSH_Addr\n12345678 9012 running ssh4.vast.ai\n"
    done = imported(file, tmp_path, table)
    assert done.returncode == 2
    assert "the first words on stdin (ID, 12345678)" in done.stderr
    assert "--add NAME --host HOST" in done.stderr
    assert file.read_text() == before
    assert "(none)" in imported(file, tmp_path, "").stderr
    # coloured, as a program prints that does not look where to
    assert (
        imported(file, tmp_path, "NAME\n\x1b[1mgpu1\x1b[0m  1x H100\n").returncode == 0
    )
    assert "[sandboxes.gpu1]" in file.read_text()


def imported(
    file: Path, tmp_path: Path, table: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, "sandboxes", "--import", "-"],
        input=table,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path / "home"),
            "XDG_CONFIG_HOME": str(file.parents[1]),
        },
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
