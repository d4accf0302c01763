"""Several looks at machines, added up."""

from typing import Any

from sandbox_ops.models import Gpu, Job, JobState
from sandbox_ops.models.groups import Best, GroupSummary
from sandbox_ops.text.progress import Progress
from sandbox_ops.workflows.fleet_totals import of_reports, totals
from sandbox_ops.workflows.monitor import JobView, MonitorReport

GPU = Gpu(index=0, name="H100", utilization_percent=0, memory_used_mib=4)
BUSY = Gpu(index=1, name="H100", utilization_percent=97, memory_used_mib=40_000)


def view(job_id: str, state: JobState, **facts: Any) -> JobView:  # noqa: ANN401 - of any field
    return JobView(job=Job(id=job_id, state=state, **facts), progress=Progress())


def look(name: str, *jobs: JobView, **facts: Any) -> MonitorReport:  # noqa: ANN401 - of any field
    return MonitorReport(sandbox=name, reachable=True, jobs=jobs, **facts)


def test_a_gpu_that_a_job_has_claimed_is_not_free() -> None:
    claims = view("remote-1", JobState.RUNNING, gpus=(0,))
    report = totals({"a": look("a", claims, gpus=(GPU, BUSY))})
    assert report.machines[0].gpus_free == 0
    assert not report.machines[0].is_free
    assert totals({"a": look("a", gpus=(GPU, BUSY))}).machines[0].gpus_free == 1


def test_commands_are_no_jobs_and_the_queue_of_a_sweep_waits() -> None:
    jobs = (
        view("remote-1", JobState.RUNNING),
        view("cmd-1", JobState.RUNNING, foreground=True),
        view("remote-2", JobState.QUEUED),
        view("remote-3", JobState.SUCCEEDED),
    )
    group = GroupSummary(name="t1", counts={"queued": 7, "running": 1})
    use = totals({"a": look("a", *jobs, groups=(group,))}).machines[0]
    assert (use.running, use.waiting) == (1, 8)


def test_a_machine_without_gpus_is_free_while_a_core_is() -> None:
    looks = {
        "a": look("a", load_1min=0.5, cpus=8),
        "b": look("b", load_1min=8.0, cpus=8),
        "c": look("c"),
        "d": None,
    }
    assert totals(looks).as_json()["free"] == ["a", "c"]
    assert totals(looks).lines[1] == (
        "free: a (no GPU, load 0.5 of 8), c; busy: b (no GPU, load 8.0 of 8); "
        "not reachable: d"
    )


def test_what_is_paid_for_machines_without_jobs_is_said() -> None:
    looks = {
        "a": look("a", view("remote-1", JobState.RUNNING), cost_per_hour=2.0),
        "b": look("b", cost_per_hour=1.5),
        "c": MonitorReport(sandbox="c", reachable=False, cost_per_hour=4.0),
        "d": look("d"),
    }
    assert totals(looks).lines[0] == (
        "4 machines: 1 running, 0 waiting; 1 not reachable; 7.50 an hour (1.50 of it idle)"
    )
    assert "an hour" not in totals({"d": look("d")}).lines[0]


def group(
    counts: dict[str, int], best: Best | None, eta_s: float | None
) -> tuple[GroupSummary, ...]:
    return (GroupSummary(name="t1", counts=counts, best=best, eta_s=eta_s),)


def test_a_sweep_over_machines_is_one_row_with_the_best_of_all() -> None:
    low = Best(metric="loss", value=0.2, job="remote-3", name="t1-n3")
    high = Best(metric="loss", value=0.4, job="remote-1", name="t1-n1")
    looks = {
        "a": look("a", groups=group({"running": 1, "succeeded": 2}, high, 60)),
        "b": look("b", groups=group({"running": 2, "failed": 1}, low, 300)),
    }
    assert totals(looks, of_job=True).lines == (
        (
            "group t1, 6 cells: 3 running, 2 succeeded, 1 failed; ETA 5 min 00 s; "
            "best loss 0.2 (b:remote-3 t1-n3)"
        ),
    )
    looks["b"] = look("b", groups=group({"running": 2}, low, None))
    assert "ETA" not in totals(looks, of_job=True).lines[0]  # of one it is not known
    looks["b"] = look("b", groups=group({"succeeded": 3}, low, None))
    assert "ETA 1 min" in totals(looks, of_job=True).lines[0]


def test_what_is_best_is_as_the_metric_has_it() -> None:
    first = Best(metric="accuracy", value=0.7, job="remote-1", name="x", way="max")
    second = Best(metric="accuracy", value=0.9, job="remote-1", name="y", way="max")
    looks = {
        "a": look("a", groups=group({"succeeded": 1}, first, None)),
        "b": look("b", groups=group({"succeeded": 1}, second, None)),
    }
    assert "best accuracy 0.9 (b:remote-1 y)" in totals(looks).lines[-1]


def test_reports_of_other_verbs_have_no_totals() -> None:
    assert of_reports({"a": object(), "b": None}) is None
