"""The run record: what a training was, so that it can be understood and repeated. Pure."""

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sandbox_ops.machine.environment import Environment
from sandbox_ops.machine.repo import Tree
from sandbox_ops.models import Gpu, Job

FORMAT = 1
_SEED = re.compile(r"(?:^|[\s-])(?:--)?seed[= ](\d{1,20})(?![\w.])", re.IGNORECASE)
ENV_NAMES = (
    "PYTHONUNBUFFERED",
    *("SANDBOX_JOB", "SANDBOX_JOB_ID", "SANDBOX_JOB_NAME", "SANDBOX_RUN_DIR"),
    *("SANDBOX_COMMIT", "SANDBOX_METRICS"),
)


def run_record(  # noqa: PLR0913  # a field each
    *,
    tree: Tree,
    environment: Environment,
    command: str,
    settings: Mapping[str, str],
    machine: str,
    gpus: Iterable[Gpu],
    gpus_wanted: int | None = None,
    env_names: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what is known before the start; its end is in the job's own record.

    Of a job that waits for its GPUs, `gpus` is filled in by the machine once it has them.
    """
    used = tuple(gpus)
    wanted = len(used) if gpus_wanted is None else gpus_wanted
    names = {*ENV_NAMES, *env_names, *(("CUDA_VISIBLE_DEVICES",) if wanted else ())}
    return {
        "format": FORMAT,
        "commit": tree.head,
        "branch": tree.branch,
        "repo": tree.url,
        "dirty": bool(tree.edits),
        "untracked": list(tree.untracked),
        "command": command,
        "settings": dict(settings),
        "seed": seed(command),
        "outputs": list(outputs),
        "cwd": tree.path,
        "env_names": sorted(names),
        "environment": environment.fingerprint,
        "environment_is_current": environment.is_current,
        "python": environment.python_version,
        "sandbox": machine,
        "hostname": environment.hostname,
        "gpus": [{"index": g.index, "name": g.name, "uuid": g.uuid} for g in used],
        "gpus_wanted": wanted,
        "driver": environment.driver or None,
    }


def seed(command: str) -> int | None:
    """Return the seed that a command names: `--seed 1`, `--seed=1`, `seed=1`."""
    match = _SEED.search(command)
    return int(match[1]) if match else None


def files(record: dict[str, Any], patch: bytes | None) -> dict[str, str]:
    """Return the record as files of the job's folder, with the patch if there is one."""
    text = json.dumps(record, indent=2, ensure_ascii=False, sort_keys=True)
    if not patch:
        return {"run.json": f"{text}\n"}
    try:
        return {"run.json": f"{text}\n", "dirty.patch": patch.decode("utf-8")}
    except UnicodeDecodeError:
        encoded = base64.encodebytes(patch).decode("ascii")
        return {"run.json": f"{text}\n", "dirty.patch.base64": encoded}


def log_name(job: Job) -> str:
    """Return the name of a job's link in the logs folder."""
    return job.name or job.id
