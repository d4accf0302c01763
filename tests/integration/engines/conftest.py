"""A Slurm cluster, and sandboxes on its login node, which is this machine."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm import OpenSandbox, SlurmCluster, slurm_cluster

from sandbox_ops import Sandbox, SandboxConfig
from sandbox_ops.links.process import ProcessLinks


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """Three nodes that all tests of a process share."""
    folder = tmp_path_factory.mktemp("slurm")
    with slurm_cluster(folder / "cluster") as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The user's home, which login node and nodes share."""
    folder = tmp_path / "home"
    (folder / "bin").mkdir(parents=True)
    (folder / ".profile").write_text(f'PATH="{folder}/bin:$PATH"\n')
    return folder


@pytest.fixture
def log_in(cluster: SlurmCluster, home: Path) -> Iterator[OpenSandbox]:
    """Return sandboxes on the login node, each with a connection of its own."""
    with contextlib.ExitStack() as stack:

        def opened(**settings: object) -> Sandbox:
            environment = {
                "HOME": str(home),
                "PATH": os.environ["PATH"],
                **cluster.environment,
            }
            settings = {"engine": "slurm"} | settings
            config = SandboxConfig(
                name="cluster",
                host="cluster",
                link="local",
                **settings,  # type: ignore[arg-type]
            )
            links = ProcessLinks(["sh", "-c"], "the login node", environment)
            return stack.enter_context(Sandbox(config, links))

        yield opened
        cluster.cancel_all()


@pytest.fixture
def login(log_in: OpenSandbox) -> Sandbox:
    """One of them."""
    return log_in()
