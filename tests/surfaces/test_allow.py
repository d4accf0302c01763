"""A project that names a machine of its own: asked for once, by every face."""

import json
import os
from pathlib import Path

import pytest
from command_line import PROGRAM, cli
from guards import guard
from mcp_server import asker
from sshd import SshServer, own_config
from terminals import Terminal

from sandbox_ops.machine.sandboxes import Sandboxes


@pytest.fixture
def project(sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that names a machine; its user has described none."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "project"
    folder.mkdir()
    sshd.write_toml(folder)
    own_config().unlink()
    (folder / "sandbox.toml").write_text(
        f'[sandboxes.test]\nhost = "{sshd.user}@{sshd.host}:{sshd.port}"\n'
    )
    monkeypatch.setenv("SANDBOX_OPS_IDENTITY_FILE", str(sshd.identity_file))
    monkeypatch.setenv("SANDBOX_OPS_KNOWN_HOSTS", str(sshd.known_hosts))
    return folder


def test_no_byte_is_sent_before_it_is_allowed(project: Path, sshd: SshServer) -> None:
    connections = sshd.log.count("Connection from")
    refused = cli("jobs", cwd=project)
    assert refused.returncode == 75
    assert "you have not allowed it yet" in refused.stderr
    assert "sandbox-ops allow --sandbox test" in refused.stderr
    assert sshd.log.count("Connection from") == connections
    allowed = cli("allow", "--sandbox", "test", "--yes", "--json", cwd=project)
    assert json.loads(allowed.stdout) == {
        "sandbox": "test",
        "host": f"{sshd.user}@{sshd.host}:{sshd.port}",
        "project": str(project),
        "allowed": True,
    }
    assert cli("jobs", cwd=project).returncode == 0
    assert "no more" in cli("allow", "--forget", cwd=project).stdout
    assert cli("jobs", cwd=project).returncode == 75


def test_an_agent_gets_the_command_that_its_user_may_type(project: Path) -> None:
    machines = Sandboxes(project, dict(os.environ))
    ask = asker(machines, "auto")
    output, is_error = ask("remote_bash", command="echo x")
    assert is_error
    assert "sandbox-ops allow --sandbox test" in output
    cli("allow", "--yes", cwd=project)
    assert ask("remote_bash", command="echo x") == ("x", False)
    machines.close()


@guard(
    "an agent, or any program without a terminal, types `sandbox-ops allow`",
    "it is refused: the user's terminal is asked, or `--yes` was said",
)
@pytest.mark.parametrize("options", [(), ("--json",), ("--sandbox", "test")])
def test_only_a_terminal_can_allow_a_machine(
    project: Path, sshd: SshServer, options: tuple[str, ...]
) -> None:
    connections = sshd.log.count("Connection from")
    refused = cli("allow", *options, cwd=project)
    assert refused.returncode == 75
    words = refused.stdout if "--json" in options else refused.stderr
    assert "the user's own act, at a terminal" in words
    assert "sandbox-ops allow --sandbox test" in words
    assert "--yes" not in words
    assert cli("jobs", cwd=project).returncode == 75
    assert sshd.log.count("Connection from") == connections


def test_at_a_terminal_it_is_shown_and_asked(project: Path, sshd: SshServer) -> None:
    address = f"{sshd.user}@{sshd.host}:{sshd.port}"
    for answer, said in (
        ("no\n", "not allowed; nothing was changed"),
        ("yes\n", "from now on"),
    ):
        assert cli("jobs", cwd=project).returncode == 75
        with Terminal(PROGRAM, "allow", cwd=project, columns=300) as terminal:
            terminal.shows("Allow it? (yes/no)", address, str(project / "sandbox.toml"))
            terminal.types(answer)
            terminal.shows(said)
    assert cli("jobs", cwd=project).returncode == 0


def test_a_machine_of_ones_own_needs_none(sshd: SshServer, tmp_path: Path) -> None:
    sshd.write_toml(tmp_path)
    output = cli("allow", cwd=tmp_path)
    assert output.returncode == 0
    assert "no need to allow it" in output.stdout
