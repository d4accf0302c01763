"""A project that names a machine of its own: asked for once, by every face."""

import json
import os
from pathlib import Path

import pytest
from command_line import cli
from mcp_server import asker
from sshd import SshServer, own_config

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
    allowed = cli("allow", "--sandbox", "test", "--json", cwd=project)
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
    cli("allow", cwd=project)
    assert ask("remote_bash", command="echo x") == ("x", False)
    machines.close()


def test_a_machine_of_ones_own_needs_none(sshd: SshServer, tmp_path: Path) -> None:
    sshd.write_toml(tmp_path)
    output = cli("allow", cwd=tmp_path)
    assert output.returncode == 0
    assert "no need to allow it" in output.stdout
