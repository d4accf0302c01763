"""What people read at the end of each verb: a report, drawn.

(A little over 250 lines: one short function a report.)
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import dashboard, next_steps
from sandbox_ops.cli.face import Rows, say
from sandbox_ops.cli.layout import Column
from sandbox_ops.cli.terminal import draw, table, tell
from sandbox_ops.errors import NextStep, RefusedError
from sandbox_ops.models import Job, JobState, StopReport
from sandbox_ops.text import formatting
from sandbox_ops.workflows import group_rows, rows, wait_reasons

if TYPE_CHECKING:
    from sandbox_ops.config import Unconfirmed
    from sandbox_ops.machine.trust import ShownKey, TrustReport
    from sandbox_ops.workflows.doctor import DoctorReport
    from sandbox_ops.workflows.fetch import FetchReport
    from sandbox_ops.workflows.on_idle import IdleReport
    from sandbox_ops.workflows.push_results import PushReport
    from sandbox_ops.workflows.put import PutReport
    from sandbox_ops.workflows.reset import ResetReport
    from sandbox_ops.workflows.sandboxes import SandboxesReport
    from sandbox_ops.workflows.setup import SetupReport, Step
    from sandbox_ops.workflows.sync import SyncReport
    from sandbox_ops.workflows.train import TrainReport

_SHOWN = 20
_SHOWN_FILES = 200
_FIRST_LINES = 3
JOB_COLUMNS = (
    Column(name="JOB"),
    Column(name="NAME", least=16, most=24, wraps=True),
    Column(name="STATE", least=12, most=24, wraps=True),
    Column(name="TIME"),
    Column(name="COMMAND", least=10, optional=True),
)
_SANDBOX_COLUMNS = (
    Column(name="SANDBOX"),
    Column(name="HOST", least=12, wraps=True),
    Column(name="STATE"),
    Column(name="GPUS"),
    Column(name="FREE"),
    Column(name="LOAD"),
    Column(name="JOBS"),
    Column(name="RELIABLE", least=8, wraps=True),
    Column(name="COST/H"),
)
_CHECK_COLUMNS = (
    Column(name="CHECK"),
    Column(name="RESULT"),
    Column(name="DETAIL", least=20, wraps=True),
)


def step(done: "Step") -> None:
    """One step of a setup, as it ends."""
    facts = rows.step_row(done)
    first, *more = facts.detail or ("",)
    took = formatting.duration(facts.seconds)
    tell(f"{facts.result:<8} {facts.name:<12} {took:>12}  {first}".rstrip())
    tell(*(f"    {line}" for line in more))


def setup(report: "SetupReport", *, with_steps: bool) -> None:
    """How a setup ended.

    Args:
        report: What was done.
        with_steps: Whether to say which steps failed; no, where each was shown as it ended.
    """
    facts = rows.setup_rows(report)
    if with_steps:
        for done in report.steps:
            if done.result == "failed":
                step(done)
    tell(*(f"not checked: {line}" for line in facts.not_checked))
    next_step = f"; next: {next_steps.command('train')}" if facts.ok else ""
    tell(f"{facts.headline}{next_step}")


def sync(report: "SyncReport") -> None:
    """From which commit to which."""
    _warn(report.warnings)
    if report.pushed:
        tell(f"pushed {report.branch}")
    before, after = (
        formatting.short(report.commit_before),
        formatting.short(report.commit_after),
    )
    if report.base_commit:
        base = formatting.short(report.base_commit)
        tell(f"{after} is {base} with what is not committed here")
    where = f"{report.branch} at {after}"
    tell(f"{where}, as before" if before == after else f"{where}, was {before}")


def train(report: "TrainReport") -> None:
    """The job that was started, and how to see it again."""
    from sandbox_ops.workflows import first_second

    _warn(report.warnings)
    job = report.job
    tell(
        formatting.job_line(job)
        if job.state is JobState.QUEUED
        else f"started {formatting.job_line(job)}",
        f"log: {job.log_path}",
        *(f"{job.id} | {line}" for line in report.first_lines[-_FIRST_LINES:]),
    )
    if advice := first_second.advice(job):
        tell("it failed at once:", *map(str, map(next_steps.on_chosen_sandbox, advice)))
        return
    if job.state.ended:
        tell(f"all that it wrote: {next_steps.command('logs', job=job.id)}")
        return
    tell(
        f"follow it: {next_steps.command('logs', job=job.id, follow=True)}",
        f"all jobs: {next_steps.command('monitor', watch=True)}",
        f"end it: {next_steps.command('stop', job=job.id)}",
    )


def jobs(newest: Sequence[Job]) -> None:
    """The jobs of a machine."""
    if not newest:
        tell(f"no jobs yet; start one: {next_steps.command('train')}")
        return
    shown, left_out = group_rows.without_waiting(newest)
    draw(table(JOB_COLUMNS, map(job_row, shown)))
    tell(*wait_reasons.lines(newest))
    for group, number in left_out.items():
        count = formatting.count(number, "more job")
        see = next_steps.command("jobs", job=group)
        waits = "waits" if number == 1 else "wait"
        tell(f"{count} of {group} {waits}; all of them: {see}")


def sandboxes(report: "SandboxesReport") -> None:
    """The machines, a row each; why one does not answer stands below."""
    rows = []
    for each in report.sandboxes:
        status = each.status
        gpus = len(status.gpus) if status and status.gpus is not None else None
        load = status.load_1min if status else None
        cost = each.config.cost_per_hour
        rows.append(
            (
                each.config.name,
                each.config.host,
                "ok" if each.reachable else "unreachable",
                "" if gpus is None else gpus,
                "" if each.gpus_free is None else each.gpus_free,
                "" if load is None else f"{load:.1f}",
                "" if each.live is None else each.live,
                each.reliability.short,
                "" if cost is None else f"{cost:.2f}",
            )
        )
    has_prices = any(row[-1] for row in rows)
    columns = _SANDBOX_COLUMNS if has_prices else _SANDBOX_COLUMNS[:-1]
    draw(table(columns, [row[: len(columns)] for row in rows]))
    for each in report.sandboxes:
        if each.error:
            tell(f"{each.config.name}: {each.error.message}")
            for step_there in each.error.next_steps:
                tell(f"    {next_steps.on_sandbox(step_there, each.config.name)}")
        if each.reliability.is_flaky:
            tell(f"{each.config.name}: {each.reliability}: --on any takes it last")


def job_rows(newest: Sequence[Job]) -> Rows:
    """The same, to stand beside those of other machines."""
    return Rows(
        columns=JOB_COLUMNS,
        rows=tuple(map(job_row, newest)),
        none="no jobs yet",
        are_jobs=True,
        notes=wait_reasons.lines(newest),
    )


def job_row(job: Job) -> tuple[str, ...]:
    """The cells of a job, under `JOB_COLUMNS`."""
    facts = rows.job_row(job)
    return (
        facts.id,
        facts.name,
        facts.short_state,
        dashboard.short_duration(facts.elapsed_s) if facts.has_begun else "",
        formatting.one_line(facts.activity, 1000),
    )


def pin(job: Job, *, pinned: bool) -> None:
    """What becomes of a job's record now."""
    if pinned:
        tell(
            f"{job.id} is kept, however old it gets: {job.log_path}",
            f"undo: {next_steps.command('pin', job=job.id, off=True)}",
        )
    else:
        tell(f"{job.id} is no longer kept: it is removed when it is old, as others are")


def stop(report: StopReport) -> None:
    """What was ended, and what could not be."""
    tell(formatting.job_line(report.job))
    if report.nothing_ended:
        tell(report.nothing_ended)
    _list("ended", report.killed)
    _list("not ended", report.left)
    for each in report.same_name:
        tell(
            f"{each} has the same name and is still running: {next_steps.command('stop', job=each)}"
        )


def reset(report: "ResetReport") -> None:
    """What was stopped, rescued and thrown back."""
    would = "would be " if report.dry_run else ""
    _list(f"{would}stopped", report.stopped)
    _list("edited there", report.dirty)
    _list("not tracked there", report.untracked)
    if report.backup_ref:
        tell(f"{would}rescued to {report.backup_ref}")
    before, after = (
        formatting.short(report.commit_before),
        formatting.short(report.commit_after),
    )
    if report.moved:
        tell(f"{would}reset: {before} -> {after}")
    else:
        tell(f"the commit stays {after}")
    if report.restore and not report.dry_run:
        tell(str(report.restore))
    _warn(report.warnings)
    _list("not ours, left alone", report.foreign)


def fetch(report: "FetchReport") -> None:
    """The files that came home, or would."""
    _files(report, "would come" if report.dry_run else "came")


def put(report: "PutReport") -> None:
    """The files that went to the machine, or would."""
    _files(report, "would go" if report.dry_run else "went")


def push_results(report: "PushReport") -> None:
    """What of a run's results is on a branch now, or would be."""
    rows = ((file.path, formatting.size(file.size_bytes)) for file in report.files)
    columns = (Column(name="FILE", least=20, wraps=True), Column(name="SIZE"))
    draw(table(columns, rows))
    if report.dry_run:
        tell(f"would go to the branch {report.branch}")
    elif report.pushed:
        tell(f"pushed {report.branch} at {formatting.short(report.commit)}")
    else:
        tell(f"{report.branch} has them already, at {formatting.short(report.commit)}")
    _warn(report.warnings)


def waited_for(running: Sequence[Job]) -> None:
    """What has to end before a machine is idle."""
    say(f"waiting for {', '.join(job.id for job in running)}")


def on_idle(report: "IdleReport") -> None:
    """What came home before a machine was given up, and what its command said."""
    if report.running:
        ids = ", ".join(job.id for job in report.running)
        tell(f"it would wait for {ids}, and bring home what these write")
    for each in report.fetched:
        _files(each, "would come" if report.dry_run else "is home, checked:")
    if report.dry_run:
        tell(f"then it would run here: {report.command}")
        return
    tell(*report.output, f"{report.command}: exit code {report.exit_code}")


def _files(report: "FetchReport | PutReport", did: str) -> None:
    new = [file for file in report.files if not file.kept]
    shown = new if len(new) <= _SHOWN_FILES else new[:_SHOWN]
    files = ((file.path, formatting.size(file.size_bytes)) for file in shown)
    if new:
        draw(
            table(
                (Column(name="FILE", least=20, wraps=True), Column(name="SIZE")), files
            )
        )
    if len(shown) < len(new):
        tell(f"  ... and {len(new) - len(shown)} more")
    total = formatting.size(sum(file.size_bytes for file in new))
    kept = len(report.files) - len(new)
    if new or not kept:
        tell(f"{formatting.count(len(new), 'file')}, {total}, {did} to {report.into}")
    if kept:
        there = formatting.count(kept, "file")
        tell(f"{there} of the same content already where they belong")
    _warn(report.warnings)


def doctor(report: "DoctorReport") -> None:
    """Every check, with its fix below."""
    draw(
        table(
            _CHECK_COLUMNS,
            ((check.name, check.result, check.detail) for check in report.checks),
        )
    )
    for check in report.checks:
        if check.hints and check.result != "ok":
            lead = f"fix {check.name}: "
            first, *more = (
                line
                for hint in check.hints
                for line in formatting.hint_lines(hint, 80 - len(lead))
            )
            tell(f"{lead}{first}", *(f"    {line}" for line in more))


def _warn(warnings: Iterable[str]) -> None:
    tell(*(f"warning: {warning}" for warning in warnings))


def _list(title: str, lines: Sequence[object]) -> None:
    if lines:
        tell(f"{title}:", *(f"  {line}" for line in lines[:_SHOWN]))
    if len(lines) > _SHOWN:
        tell(f"  ... and {len(lines) - _SHOWN} more")


def agree_to_trust(shown: "ShownKey", *, ask: bool) -> None:
    """Have a person agree to a host key that is not known yet.

    Raises:
        RefusedError: There is nobody to ask, or they say no.
    """
    key = f"{shown.key_type} {shown.fingerprint}"
    if not ask or not sys.stdin.isatty():
        step = {"sandbox": shown.sandbox, "fingerprint": shown.fingerprint}
        raise RefusedError(
            f"the host key of {shown.machine} is not known: {key}",
            NextStep(
                "trust", step, "Compare it with the machine's own; if it is the same"
            ),
        )
    say(f"the host key of {shown.machine} is not known: {key}")
    say("Compare it with the machine's own. Trust it? (yes/no/the fingerprint)")
    if not _confirmed(shown.fingerprint):
        raise RefusedError(
            f"the host key of {shown.machine} is not trusted; nothing was added",
            NextStep(
                "trust",
                {"sandbox": shown.sandbox},
                "Ask the machine's administrator for its fingerprint, then",
            ),
        )


def agree_to_allow(machine: "Unconfirmed", sandbox: str, *, ask: bool) -> None:
    """Have a person agree that a project may use the machine that it names.

    Raises:
        RefusedError: There is nobody to ask, or they say no.
    """
    what = (
        f"{machine.project} names {machine.address} as `{sandbox}`, in {machine.where}"
    )
    if not ask or not sys.stdin.isatty():
        raise RefusedError(
            f"{what}: to allow that is the user's own act, at a terminal",
            NextStep("allow", {"sandbox": sandbox}, "In a terminal, in that folder"),
        )
    say(f"{what}.")
    say(
        "What this project says would run there, as you, and your keys and agent are offered "
        "to that machine. Allow it? (yes/no)"
    )
    if not _confirmed(machine.address):
        raise RefusedError(f"{machine.address} is not allowed; nothing was changed")


def _confirmed(fingerprint: str) -> bool:
    """Read an answer as ssh does: yes, no, or the fingerprint; anything else asks again."""
    while answer := sys.stdin.readline():
        word = answer.strip()
        if word.lower() in {"yes", "no", ""} or word == fingerprint:
            return word.lower() in {"yes", fingerprint.lower()}
        say("Please write yes, no or the fingerprint in full:")
    return False


def trust(report: "TrustReport") -> None:
    """The keys that a machine shows, and which of them were added."""
    for hop in report.jump_hosts:
        trust(hop)
    for key in report.keys:
        state = "added" if key.fingerprint in report.added else str(key.trust)
        tell(f"{key.machine}: {key.key_type} {key.fingerprint}  {state}")
    if report.added:
        tell(f"{report.host} is trusted from now on: {report.file}")


def allow(value: Mapping[str, Any]) -> None:
    """Whether a project may use a machine."""
    if not value["project"]:
        tell(f"{value['host']} is named by your own configuration: no need to allow it")
    elif value["allowed"]:
        tell(f"{value['project']} may use {value['host']} from now on")
    else:
        tell(f"{value['project']} may use {value['host']} no more")
