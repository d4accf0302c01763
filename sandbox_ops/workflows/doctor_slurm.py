"""What doctor makes of a login node: whether Slurm takes jobs, and nodes can see the home. Pure."""

from sandbox_ops.remote.script_replies import Reply
from sandbox_ops.workflows.doctor_checks import Check, check

_LOCAL = {"ext2/ext3", "xfs", "btrfs", "zfs", "tmpfs", "overlayfs"}
"""File systems that one machine has: nodes see them only where it exports them."""


def checks(reply: Reply) -> tuple[Check, ...]:
    """Return the checks of a login node, from what `slurm_look.sh` said."""
    if reply.get("slurm") == "missing":
        fix = "Name a login node as `host`, or load Slurm in ~/.profile there"
        return (check("slurm", "fail", "sbatch is not in PATH", fix),)
    return (_takes_jobs(reply), _shared_home(reply), *_quota(reply), *_tracking(reply))


def _takes_jobs(reply: Reply) -> Check:
    version, verdict = reply.get("slurm"), reply.get("verdict")
    if reply.get("takes") == "yes":
        return check("slurm", "ok", f"{version}; {_partitions(reply)}")
    if "is DOWN" in reply.get("controller") or "contact slurm" in verdict:
        fix = "Ask who runs the cluster; jobs that wait or run are not lost by that"
        return check("slurm", "fail", f"its controller does not answer: {verdict}", fix)
    fix = (
        "Set `partition`, `account`, `qos` or `extra` in [sandboxes.NAME.slurm]: "
        f"there are {_partitions(reply)}; sacctmgr show assoc user=$USER there"
    )
    return check("slurm", "fail", f"it would take no job: {verdict}", fix)


def _partitions(reply: Reply) -> str:
    names = dict.fromkeys(
        line.split()[0].rstrip("*") for line in reply.all("partition") if line.split()
    )
    return f"partitions {', '.join(names)}" if names else "no partitions that you see"


def _shared_home(reply: Reply) -> Check:
    home, kind = reply.get("home"), reply.get("file_system")
    if kind not in _LOCAL:
        return check("shared folder", "ok", f"{home} is on {kind}")
    fix = f"See whether nodes have it: srun ls -d {home}/.sandbox-ops"
    detail = f"{home} is on {kind}: jobs fail where the nodes do not see it"
    return check("shared folder", "warn", detail, fix)


def _quota(reply: Reply) -> tuple[Check, ...]:
    answers = reply.all("quota")
    over = "; ".join(filter(None, answers))
    if over:
        fix = "Make room there: what a job writes beyond it fails"
        return (check("quota", "fail", f"over the quota: {over}", fix),)
    return (check("quota", "ok", "nothing is over its quota"),) if answers else ()


def _tracking(reply: Reply) -> tuple[Check, ...]:
    if reply.get("tracking") != "proctrack/pgid":
        return ()
    detail = (
        "ProctrackType=proctrack/pgid: Slurm cannot end what left its process group"
    )
    fix = "Stop jobs with `stop`; the cluster's administrator can use proctrack/cgroup"
    return (check("process tracking", "warn", detail, fix),)
