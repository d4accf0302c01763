"""What doctor makes of a login node."""

from sandbox_ops.remote.script_replies import Reply
from sandbox_ops.workflows.doctor_slurm import checks

GOOD = {
    "slurm": "slurm-wlm 22.05.8",
    "controller": "Slurmctld(primary) at localhost is UP",
    "home": "/home/me",
    "file_system": "nfs",
    "tracking": "proctrack/cgroup",
    "takes": "yes",
    "verdict": "Job 12 to start at 2026-11-26T02:30:00 using 1 processors on nodes node1",
    "partition": "main* up 2:00:00 3 idle",
}


def results(**changes: str) -> dict[str, str]:
    reply = Reply(tuple((GOOD | changes).items()))
    return {check.name: check.result for check in checks(reply)}


def test_a_good_login_node_passes() -> None:
    assert results() == {"slurm": "ok", "shared folder": "ok"}


def test_each_fault_is_a_check_with_a_fix() -> None:
    refused = "Invalid account or account/partition combination specified"
    assert results(takes="no", verdict=refused)["slurm"] == "fail"
    assert results(slurm="missing") == {"slurm": "fail"}
    assert results(file_system="ext2/ext3")["shared folder"] == "warn"
    assert results(quota="/dev/x 5* 4 5")["quota"] == "fail"
    assert results(tracking="proctrack/pgid")["process tracking"] == "warn"
    down = Reply(tuple((GOOD | {"slurm": "missing"}).items()))
    assert all(check.fix for check in checks(down))


def test_the_refusal_names_what_slurm_said_and_the_partitions_that_there_are() -> None:
    bad = GOOD | {"takes": "no", "verdict": "Invalid partition name specified"}
    (first, *_) = checks(Reply(tuple(bad.items())))
    assert "Invalid partition name specified" in first.detail
    assert "partitions main" in first.fix
