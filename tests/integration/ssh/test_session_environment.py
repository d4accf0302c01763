"""SetEnv, SendEnv and ForwardAgent reach every command, as with ssh."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sshd_files
from sshagent import ssh_agent
from sshd import SshServer

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.workflows.doctor import doctor

Make = Callable[..., SshServer]


def config(server: SshServer, folder: Path, *lines: str) -> SandboxConfig:
    """Write an ssh_config that reaches the server as `target`, with more lines."""
    text = "".join(f"  {line}\n" for line in lines)
    path = folder / "client_config"
    path.write_text(
        f"Host target\n{text}  HostName {server.host}\n  Port {server.port}\n"
        f"  User {server.user}\n  IdentityFile {server.identity_file}\n"
        "  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {server.known_hosts}\n  GlobalKnownHostsFile none\n"
    )
    return server.config(
        host="target", port=None, user=None, identity_file=None, known_hosts=None,
        ssh_config=str(path),
    )  # fmt: skip


def by_ssh(how: SandboxConfig, command: str) -> str:
    return subprocess.run(
        ["ssh", "-F", str(how.ssh_config), "target", command],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True, timeout=20,
    ).stdout  # fmt: skip


@pytest.fixture
def variables(
    make_sshd: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SandboxConfig:
    monkeypatch.setenv("SENT_ONE", "1")
    monkeypatch.setenv("SENT_TWO", "é 'two' $HOME")
    monkeypatch.setenv("sent_three", "another name")
    server = make_sshd(extra="AcceptEnv SENT_* PROJECT sent_*")
    return config(
        server, tmp_path, 'SetEnv PROJECT="two words" REFUSED=1', "SendEnv SENT_*"
    )


SHOW = 'printf "%s|" "$PROJECT" "$SENT_ONE" "$SENT_TWO" "$sent_three" "$REFUSED"'
SHOWN = "two words|1|é 'two' $HOME|||"


def test_set_env_and_send_env_reach_every_kind_of_command(
    variables: SandboxConfig,
) -> None:
    assert by_ssh(variables, SHOW) == SHOWN
    with Sandbox(variables) as sandbox:
        assert sandbox.run(SHOW).stdout.text == SHOWN
        assert sandbox.connection.run(SHOW, hide=True).stdout == SHOWN
        assert sandbox.run(f"{SHOW} >&2").stderr.text == SHOWN


def test_doctor_tells_what_is_sent_and_what_the_machine_does_not_accept(
    variables: SandboxConfig,
) -> None:
    with Sandbox(variables) as sandbox:
        (check,) = [c for c in doctor(sandbox).checks if c.name == "ssh environment"]
    assert check.result == "warn"
    assert "sent: SENT_ONE, SENT_TWO, PROJECT" in check.detail
    assert "not accepted: REFUSED" in check.detail
    assert "AcceptEnv REFUSED" in check.fix


def test_doctor_tells_that_a_machine_takes_no_agent(
    make_sshd: Make, tmp_path: Path, agent: tuple[str, str]
) -> None:
    server = make_sshd(extra="AllowAgentForwarding no")
    with Sandbox(config(server, tmp_path, f"ForwardAgent {agent[0]}")) as sandbox:
        (check,) = [c for c in doctor(sandbox).checks if c.name == "ssh environment"]
    assert check.result == "warn"
    assert "not taken" in check.detail
    assert "AllowAgentForwarding yes" in check.fix


def test_doctor_says_nothing_of_an_environment_that_nobody_asked_for(
    sandbox: Sandbox,
) -> None:
    assert not [c for c in doctor(sandbox).checks if c.name == "ssh environment"]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """An agent with a key: its socket, and the fingerprint of the key."""
    folder = tmp_path / "agent"
    folder.mkdir()
    sshd_files.keygen(folder / "key")
    with ssh_agent(folder, folder / "key") as socket:
        shown = subprocess.run(
            ["ssh-keygen", "-lf", folder / "key"],
            capture_output=True,
            text=True,
            check=True,
        )
        yield socket, shown.stdout.split()[1]


ASK = "ssh-add -l"


@pytest.mark.parametrize("how", ["yes", "path", "IdentityAgent"])
def test_the_agent_is_forwarded_to_every_kind_of_command(
    make_sshd: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    agent: tuple[str, str], how: str,
) -> None:  # fmt: skip
    socket, fingerprint = agent
    server = make_sshd()
    lines = ["ForwardAgent yes"]
    if how == "yes":
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
    elif how == "path":
        lines = [f"ForwardAgent {socket}"]
    else:
        lines += [f"IdentityAgent {socket}"]
    machine = config(server, tmp_path, *lines)
    if how != "path":  # which ssh forwards only where the environment names an agent
        assert fingerprint in by_ssh(machine, ASK)
    with Sandbox(machine) as sandbox:
        assert fingerprint in sandbox.run(ASK).stdout.text
        calls = [sandbox.submit(f"{ASK}; sleep 0.2") for _ in range(8)]
        for call in calls:
            assert fingerprint in call.future.result(20).stdout.text
        assert fingerprint in sandbox.connection.run(ASK, hide=True).stdout
        (check,) = [c for c in doctor(sandbox).checks if c.name == "ssh environment"]
        assert (check.result, check.detail) == ("ok", f"agent {socket} forwarded")


def test_the_agent_is_forwarded_again_when_the_connection_was_created_again(
    make_sshd: Make, tmp_path: Path, agent: tuple[str, str]
) -> None:
    socket, fingerprint = agent
    server = make_sshd()
    with Sandbox(config(server, tmp_path, f"ForwardAgent {socket}")) as sandbox:
        assert fingerprint in sandbox.run(ASK).stdout.text
        server.restart()
        assert fingerprint in sandbox.run(ASK).stdout.text


def test_an_agent_is_not_forwarded_unless_ssh_config_says_so(
    make_sshd: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    agent: tuple[str, str],
) -> None:  # fmt: skip
    monkeypatch.setenv("SSH_AUTH_SOCK", agent[0])
    with Sandbox(config(make_sshd(), tmp_path)) as sandbox:
        assert sandbox.run('echo "<$SSH_AUTH_SOCK>"').stdout.text == "<>\n"


def test_an_agent_that_is_gone_costs_the_command_that_asks_and_nobody_else(
    make_sshd: Make, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone.sock"
    lines = "ForwardAgent yes", f"IdentityAgent {gone}"
    with Sandbox(config(make_sshd(), tmp_path, *lines)) as sandbox:
        result = sandbox.run(f"{ASK}; echo $?")
        assert result.stdout.text.endswith("2\n") or result.stdout.text.endswith("1\n")
        assert sandbox.run("echo on").stdout.text == "on\n"
    assert "Traceback" not in capfd.readouterr().err


def test_git_fetches_over_the_forwarded_agent(
    make_sshd: Make, tmp_path: Path, agent: tuple[str, str]
) -> None:
    """As `setup` does of a private repository whose key only the user's agent holds."""
    socket, _ = agent
    forge = make_sshd(extra=f"AuthorizedKeysFile {tmp_path}/agent/key.pub")
    repo = tmp_path / "repo.git"
    subprocess.run(["git", "init", "-q", "--bare", repo], check=True)
    machine = make_sshd()
    url = f"ssh://{forge.user}@{forge.host}:{forge.port}{repo}"
    command = (
        f"GIT_SSH_COMMAND='ssh -F none -o UserKnownHostsFile={forge.known_hosts} "
        f"-o IdentityFile=none' git ls-remote {url} && echo read"
    )
    with Sandbox(config(machine, tmp_path, f"ForwardAgent {socket}")) as sandbox:
        result = sandbox.run(command)
        assert result.stdout.text == "read\n", result.stderr.text
    with Sandbox(config(machine, tmp_path)) as sandbox:
        assert not sandbox.run(command).ok


@pytest.mark.parametrize("locale", ["C.UTF-8", "xx_YY.UTF-8", "C"])
def test_a_locale_that_is_sent_changes_no_byte_of_what_comes_back(
    make_sshd: Make, tmp_path: Path, locale: str
) -> None:
    """Debian sends LANG and LC_* by itself; many machines do not have the user's."""
    server = make_sshd(extra="AcceptEnv LANG LC_*")
    how = config(server, tmp_path, f"SetEnv LC_ALL={locale} LANG={locale}")
    (server.home / "file").write_text("é\n" * 3000)
    with Sandbox(how) as sandbox:
        assert sandbox.run("cat ~/file").stdout.text == "é\n" * 3000
        assert sandbox.run("echo 'ä'; exit 3").exit_code == 3
