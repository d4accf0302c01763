"""The real torchrun over several machines and over the nodes of a cluster: gloo, on CPUs."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import cli
from fleet import describe, make_machine
from gitproject import GitProject
from networks import networks
from slurm import slurm_cluster

pytestmark = [pytest.mark.gates, pytest.mark.timeout(300)]

PYTHON = ("PET_TEE=1", "PET_REDIRECTS=1", "/usr/bin/python3")
"""Debian's, which has Debian's torch 1.13: with Python 3.11 its torchrun fails on `--tee 0`."""
PROJECT = '[project]\nsetup = ["true"]\nverify = ["true"]\n'
TRAIN = """\
import os, sys, time
import torch
import torch.distributed as dist

dist.init_process_group("gloo")
rank, size = dist.get_rank(), dist.get_world_size()
total = torch.tensor([float(rank + 1)])
dist.all_reduce(total)
print(f"torch {rank} of {size}: sum {total.item():g}, node {os.environ['GROUP_RANK']}", flush=True)
if len(sys.argv) > 1:
    if rank == int(sys.argv[1]):
        sys.exit(3)
    dist.all_reduce(total)  # for ever
"""


@pytest.fixture
def project(git_project: GitProject) -> GitProject:
    git_project.commit({"sandbox.toml": PROJECT, "ddp.py": TRAIN}, push=True)
    return git_project


def living(home: Path) -> list[str]:
    found = []
    for environ in Path("/proc").glob("[1-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"SANDBOX_JOB={home}".encode() in environ.read_bytes():
                found.append((environ.parent / "cmdline").read_text())
    return found


@pytest.fixture
def user(tmp_path: Path, project: GitProject) -> Iterator[dict[str, str]]:
    """Two machines with addresses of their own."""
    assert project.head
    with networks(2) as nets:
        machines = [
            make_machine(tmp_path, name, net.enter)
            for name, net in zip("ab", nets, strict=True)
        ]
        yield describe(tmp_path, machines)


def test_torch_meets_over_two_machines_with_two_processes_on_each(
    user: dict[str, str], project: GitProject, tmp_path: Path
) -> None:
    done = cli(
        "train", "--on", "a,b", "--nodes", "2", "--name", "ddp", "--gpus", "0", "--watch",
        "--", *PYTHON, "-m", "torch.distributed.run", "--nproc_per_node", "2", "ddp.py",
        cwd=project.clone, env=user, timeout_s=200,
    )  # fmt: skip
    assert done.returncode == 0, done
    lines = sorted(line for line in done.stdout.splitlines() if "sum" in line)
    assert lines == [
        "[0 a] [default0]:torch 0 of 4: sum 10, node 0",
        "[0 a] [default1]:torch 1 of 4: sum 10, node 0",
        "[1 b] [default0]:torch 2 of 4: sum 10, node 1",
        "[1 b] [default1]:torch 3 of 4: sum 10, node 1",
    ]
    assert living(tmp_path) == []


def test_a_worker_that_fails_on_one_machine_ends_torch_on_both(
    user: dict[str, str], project: GitProject, tmp_path: Path
) -> None:
    done = cli(
        "train", "--on", "a,b", "--torchrun", "--name", "ddp", "--gpus", "0", "--watch",
        "--", *PYTHON, "ddp.py", "1",
        cwd=project.clone, env=user, timeout_s=200,
    )  # fmt: skip
    assert done.returncode == 1, done  # torchrun's own
    assert "torch 1 of 2: sum 3" in done.stdout
    assert "failed first, with exit code 1" in done.stdout
    assert living(tmp_path) == []


def test_torchrun_on_one_machine_needs_no_port(
    user: dict[str, str], project: GitProject
) -> None:
    setup = cli("setup", cwd=project.clone, env=user)
    assert setup.returncode == 0, setup
    done = cli(
        "train", "--torchrun", "--name", "one", "--gpus", "0", "--watch",
        "--", *PYTHON, "ddp.py",
        cwd=project.clone, env=user, timeout_s=200,
    )  # fmt: skip
    assert done.returncode == 0, done
    assert "torch 0 of 1: sum 1, node 0" in done.stdout


def test_torch_meets_over_two_nodes_of_a_slurm_cluster(
    project: GitProject, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    config = tmp_path / "config" / "sandbox-ops" / "config.toml"
    config.parent.mkdir(parents=True)
    with slurm_cluster(
        tmp_path_factory.mktemp("slurm") / "cluster", nodes=2
    ) as cluster:
        link = tmp_path / "link"
        conf = cluster.environment["SLURM_CONF"]
        link.write_text(f"#!/bin/sh\nHOME='{home}' SLURM_CONF='{conf}' exec \"$@\"\n")
        link.chmod(0o755)
        config.write_text(
            f'[sandboxes.cluster]\nlink = {{ command = ["{link}", "sh"] }}\n'
            f'workspace = "{home}"\nengine = "slurm"\n'
        )
        config.chmod(0o600)
        env = {
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
        }
        assert cli("setup", cwd=project.clone, env=env).returncode == 0
        done = cli(
            "train", "--nodes", "2", "--torchrun", "--name", "ddp", "--watch",
            "--", *PYTHON, "ddp.py",
            cwd=project.clone, env=env, timeout_s=200,
        )  # fmt: skip
        assert done.returncode == 0, done
        assert "0: [default0]:torch 0 of 2: sum 3, node 0" in done.stdout
        assert "1: [default0]:torch 1 of 2: sum 3, node 1" in done.stdout
