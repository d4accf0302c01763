"""A key that lives in an agent: hosts start servers without the way to it."""

from pathlib import Path

import pytest
from mcp_server import wire
from sshagent import ssh_agent, write_keyless_toml
from sshd import SshServer


def answer(folder: Path, **environment: str) -> str:
    with wire(environment, folder) as server:
        server.begin()
        server.call(2, "remote_bash", command="echo in")
        text = server.answer(2)["result"]["content"][0]["text"]
        assert isinstance(text, str)
        return text


def test_the_agent_that_the_host_hands_on_is_asked(
    sshd: SshServer, tmp_path: Path
) -> None:
    write_keyless_toml(sshd, tmp_path)
    with ssh_agent(tmp_path, sshd.identity_file) as socket:
        assert answer(tmp_path, SSH_AUTH_SOCK=socket) == "in"


@pytest.mark.parametrize("left", ["", "${env:SSH_AUTH_SOCK}"])
def test_a_host_that_keeps_the_agent_from_us_is_reported(
    left: str, sshd: SshServer, tmp_path: Path
) -> None:
    write_keyless_toml(sshd, tmp_path)
    output = answer(tmp_path, SSH_AUTH_SOCK=left)
    assert "authentication failed" in output
    assert "SSH_AUTH_SOCK is not set for this server" in output
    assert "sandbox-ops mcp-install" in output
