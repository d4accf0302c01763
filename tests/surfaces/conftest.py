"""What the tests of the tools share: the tools, as an agent calls them."""

from collections.abc import Iterator

import pytest
from mcp_server import Ask, asker
from slow import slow
from sshd import SshServer

from sandbox_ops.machine.sandboxes import Sandboxes


@pytest.fixture(scope="module")
def machines(
    sshd: SshServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandboxes]:
    """The machines of a `sandbox.toml` that names one."""
    folder = tmp_path_factory.mktemp("mcp")
    sshd.write_toml(folder)
    machines = Sandboxes(folder, {})
    yield machines
    machines.close()


@pytest.fixture(params=["auto", *slow("legacy")])
def ask(request: pytest.FixtureRequest, machines: Sandboxes) -> Ask:
    """Calls a tool in a protocol era; answers its text, and whether it is an error."""
    return asker(machines, request.param)
