"""A sweep on a Slurm cluster that is this computer: `make demo-slurm`, as root.

It does what a user does: a configuration, and `sandbox-ops` from a shell.
"""

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from gitproject import make_git_project
from slurm import slurm_cluster

_TRAIN = """\
import math, os, sys, time
rate = float(sys.argv[1])
print("on", os.uname().nodename, "as Slurm's job", os.environ["SLURM_JOB_ID"], flush=True)
for step in range(1, 11):
    print(f"step {step}/10 loss={math.exp(-rate * step):.4f}", flush=True)
    time.sleep(0.1)
"""
_CONFIG = """\
default = "cluster"
[sandboxes.cluster]
link = "local"
workspace = "{root}/workspace"
engine = "slurm"
[sandboxes.cluster.slurm]
partition = "main"
extra = ["--mem=100M"]
"""
_STEPS = (
    "sandbox-ops doctor",
    "sandbox-ops setup",
    "sandbox-ops train --name rates --set rate=0.1,0.3,0.5,0.9 --gpus 1 -- python3 train.py {rate}",
    "squeue",
    "sandbox-ops jobs",
    "sandbox-ops wait rates --timeout 60s",
    "sandbox-ops jobs",
    "sandbox-ops logs rates/3",
)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Show it; return 0 where every step went well."""
    with tempfile.TemporaryDirectory(prefix="sandbox-ops-slurm-") as name:
        root = Path(name)
        root.chmod(0o755)
        for folder in ("home/.config/sandbox-ops", "workspace"):
            (root / folder).mkdir(parents=True)
        config = root / "home/.config/sandbox-ops/config.toml"
        config.write_text(_CONFIG.format(root=root))
        project = make_git_project(root / "git", "rates")
        project.commit({"train.py": _TRAIN}, push=True)
        with slurm_cluster(root / "cluster") as cluster:
            environment = {
                **os.environ,
                **cluster.environment,
                "HOME": str(root / "home"),
                "XDG_CONFIG_HOME": str(root / "home/.config"),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "SANDBOX_OPS_AGENT_IDLE_S": "0",
            }
            for step in _STEPS:
                _say(f"\n$ {step}")
                code = subprocess.run(
                    shlex.split(step), cwd=project.clone, env=environment, check=False
                ).returncode
                if code != 0:
                    _say(f"that ended with exit code {code}")
                    return 1
            cluster.cancel_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
