"""A tunnel to the node that runs a job, through the login node and a step of srun."""

import contextlib
import http.client
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from slurm import OpenSandbox, SlurmCluster
from slurm_jobs import SOON_S, fake, started
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.errors import RefusedError, UsageError
from sandbox_ops.models import Project
from sandbox_ops.workflows.tunnel import WantedTunnel, tunnel

_NOWHERE = Project()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _page(local_port: int) -> bytes:
    """Return the page behind a tunnel; nothing while its server is on its way."""
    client = http.client.HTTPConnection("127.0.0.1", local_port, timeout=20)
    with contextlib.closing(client), contextlib.suppress(OSError):
        client.request("GET", "/page")
        return client.getresponse().read()
    return b""


def _serving(sandbox: Sandbox, folder: Path, name: str) -> int:
    """Start a web server as a job, on the loopback of its node; return its port."""
    (folder / "page").write_text("from a node")
    port = _free_port()
    started(
        sandbox,
        f"echo begun; exec python3 -m http.server {port} --bind 127.0.0.1",
        name=name,
        cwd=str(folder),
    )
    return port


def test_a_port_of_the_node_that_runs_a_job_is_a_url_here(
    login: Sandbox, tmp_path: Path
) -> None:
    asked = tmp_path / "asked"
    fake(tmp_path, "srun", f'echo "$1" >>{asked}; real "$@"')
    port = _serving(login, tmp_path, "web")
    wanted = WantedTunnel(port=port, local_port=0, job="web")
    with tunnel(login, _NOWHERE, wanted) as report:
        assert report.job == "remote-1"
        wait_until(lambda: _page(report.local_port) == b"from a node", SOON_S)
    assert asked.read_text().startswith("--jobid=")


def test_the_tunnel_to_a_node_goes_over_ssh_and_past_a_noisy_login(
    make_sshd: Callable[..., SshServer], cluster: SlurmCluster, tmp_path: Path
) -> None:
    server = make_sshd()
    (server.home / ".profile").write_text(
        f"echo noise\nexport SLURM_CONF={cluster.environment['SLURM_CONF']}\n"
    )
    with Sandbox(server.config(engine="slurm")) as sandbox:
        port = _serving(sandbox, tmp_path, "far")
        wanted = WantedTunnel(port=port, local_port=0, job="far")
        with tunnel(sandbox, _NOWHERE, wanted) as report:
            wait_until(lambda: _page(report.local_port) == b"from a node", SOON_S)
    cluster.cancel_all()


def test_a_job_without_a_node_and_a_machine_that_runs_its_own_are_refused(
    log_in: OpenSandbox,
) -> None:
    held = log_in(slurm_extra=("--hold",))
    job = held.start("true", name="held")
    wanted = WantedTunnel(port=80, local_port=0, job=job.id)
    with (
        pytest.raises(RefusedError, match="does not run"),
        tunnel(held, _NOWHERE, wanted),
    ):
        pass
    plain = log_in(engine="supervisor")
    with pytest.raises(UsageError, match="run on it"), tunnel(plain, _NOWHERE, wanted):
        pass
