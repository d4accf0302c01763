"""on-idle: once nothing runs or waits on a machine and all results are home, do something.

The results come home first, each checked; what cannot come, or is not ours to fetch, ends
it: a rented machine that is stopped takes the only copy along. The command is the user's
own, and runs on this computer. (Over 250 lines: what it refuses stands beside what it does.)
"""

import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox_ops.errors import (
    ConfigError,
    ConnectError,
    NextStep,
    NotFoundError,
    RefusedError,
)
from sandbox_ops.guard import acts
from sandbox_ops.machine import jobs, repo
from sandbox_ops.machine.job_list import recent
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, MachineStatus, Project
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.remote.script_replies import listed
from sandbox_ops.text import formatting, remote_text
from sandbox_ops.workflows import own_tree
from sandbox_ops.workflows.fetch import FetchReport, fetch
from sandbox_ops.workflows.reset import foreign

INTERVAL_S = 30.0
ACTION = "on-idle"
_ALL = 1 << 20
_COMMAND_S = 3600.0
_SHOWN_LINES = 12

OnWait = Callable[[tuple[Job, ...]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleReport:
    """What was found idle, brought home and done.

    Attributes:
        sandbox: The name of the machine.
        command: What was run here, or would be.
        running: In a dry run: what is waited for.
        fetched: What came home, or would, of all runs.
        exit_code: Of the command; None in a dry run.
        output: The end of what the command said.
    """

    sandbox: str
    command: str
    running: tuple[Job, ...] = ()
    fetched: tuple[FetchReport, ...] = ()
    exit_code: int | None = None
    output: tuple[str, ...] = ()
    dry_run: bool = False

    @property
    def ok(self) -> bool:
        """Whether the command succeeded."""
        return not self.exit_code

    def as_json(self) -> dict[str, Any]:
        """The report as `on-idle --json` shows it."""
        return {
            "sandbox": self.sandbox,
            "command": self.command,
            "running": [job.id for job in self.running],
            "files": [f.as_json() for report in self.fetched for f in report.files],
            "exit_code": self.exit_code,
            "dry_run": self.dry_run,
        }


def on_idle(  # noqa: PLR0913  # each is one choice
    sandbox: Sandbox,
    project: Project,
    *,
    command: str = "",
    into: str = "",
    leave: Sequence[str] = (),
    ignore_others: bool = False,
    dry_run: bool = False,
    interval_s: float = INTERVAL_S,
    on_wait: OnWait | None = None,
    cancel: CancelToken | None = None,
) -> IdleReport:
    """Wait until nothing runs or waits, bring all results home, run a command here.

    Args:
        sandbox: The machine.
        project: Whose runs.
        command: What to run; "": the machine's `on_idle`.
        into: Where the results go; "": the local clone.
        leave: Jobs whose results may be left there.
        ignore_others: Whatever else there may be at work on the machine.
        dry_run: Only say what is waited for, what would come and what would be run.
        interval_s: Between two looks.
        on_wait: Called with what is waited for, whenever that changes.
        cancel: Ends it; nothing is run then.

    Raises:
        ConfigError: There is no command.
        RefusedError: Results cannot come home, runs of other projects have some, or
            other programs are at work there; says which, and the command was not run.
        ConnectError: The machine cannot be reached at the beginning.
        CancelledError: It was cancelled.
    """
    sandbox = sandbox.cancelled_by(cancel)
    line = command or sandbox.config.on_idle or ""
    if not line:
        raise ConfigError(
            f"there is nothing to do when {sandbox.config.label} is idle",
            "Say it: --command, or on_idle below the sandbox in your own config.toml",
        )
    action = "on-idle --dry-run" if dry_run else ACTION
    with sandbox.acting(action, line) as view:
        results = _Results(view, project, into, leave, ignore_others)
        if dry_run:
            return IdleReport(
                sandbox=sandbox.config.name,
                command=line,
                running=_busy(view),
                fetched=results.bring_home(dry_run=True),
                dry_run=True,
            )
        while True:
            _wait(view, interval_s, on_wait)
            fetched = results.bring_home(dry_run=False)
            if not _busy(view):  # nothing began meanwhile
                break
        code, output = _run(view, line)
    return IdleReport(
        sandbox=sandbox.config.name,
        command=line,
        fetched=fetched,
        exit_code=code,
        output=output,
    )


def _wait(sandbox: Sandbox, interval_s: float, on_wait: OnWait | None) -> None:
    """Wait until nothing of ours runs or is queued; a lost link is waited for."""
    reported_ids: tuple[str, ...] = ()
    has_looked = False
    woken = threading.Event()
    with sandbox.cancel_token.on_cancel(woken.set):
        while True:
            sandbox.cancel_token.check()
            try:
                busy = _busy(sandbox)
                has_looked = True
            except ConnectError:
                if not has_looked:
                    raise
                woken.wait(interval_s)
                continue
            if not busy:
                return
            ids = tuple(job.id for job in busy)
            if on_wait is not None and ids != reported_ids:
                on_wait(busy)
            reported_ids = ids
            woken.wait(interval_s)


def _busy(sandbox: Sandbox) -> tuple[Job, ...]:
    """Return what has not ended, queued jobs too, and what left processes."""
    return tuple(
        job
        for job in recent(sandbox, 1)
        if not job.foreground and (not job.state.ended or job.survivors)
    )


class _Results:
    """What runs left on a machine, and how it comes home."""

    def __init__(
        self,
        sandbox: Sandbox,
        project: Project,
        into: str,
        leave: Sequence[str],
        ignore_others: bool,
    ) -> None:
        self._sandbox, self._project, self._into = sandbox, project, into
        self._leave, self._ignore_others = leave, ignore_others

    def bring_home(self, *, dry_run: bool) -> tuple[FetchReport, ...]:
        """Bring the results of all runs that have ended.

        Raises:
            RefusedError: Something cannot come, is not ours, or other programs are at work there.
        """
        path = repo.place(self._sandbox, self._project)
        if not self._ignore_others:
            _refuse_foreign(
                self._sandbox, jobs.status(self._sandbox, path=path, tails=0)
            )
        left = {jobs.get(self._sandbox, each).id for each in self._leave}
        ended = [job for job in recent(self._sandbox, _ALL) if _has_results(job)]
        wanted = [job for job in ended if job.id not in left]
        others = [job for job in wanted if not self._is_ours(job)]
        if others:
            raise RefusedError(
                listed(
                    "runs of other projects are on record there, whose results are not "
                    "seen to:",
                    tuple(f"{job.id} in {job.project_path}" for job in others),
                ),
                NextStep(
                    ACTION, {"leave": others[0].id}, "Fetch them there, then leave them"
                ),
            )
        return tuple(filter(None, (self._fetched(job, dry_run) for job in wanted)))

    def _is_ours(self, job: Job) -> bool:
        return own_tree.is_of(self._sandbox, self._project, job.project_path)

    def _fetched(self, job: Job, dry_run: bool) -> FetchReport | None:
        try:
            report = fetch(
                self._sandbox,
                self._project,
                job=job.id,
                into=self._into,
                dry_run=dry_run,
            )
        except NotFoundError:  # its record went meanwhile, with nothing left to bring
            return None
        if report.warnings:
            raise RefusedError(
                f"not all of {job.id} would be home:\n" + "\n".join(report.warnings),
                NextStep("fetch", {"path": "PATH"}, "Bring it by its path"),
                NextStep(ACTION, {"leave": job.id}, "Then, or if it is not needed"),
            )
        return report


def _has_results(job: Job) -> bool:
    return job.state.ended and not job.foreground and bool(job.project_path)


def _refuse_foreign(sandbox: Sandbox, status: MachineStatus) -> None:
    others = foreign(status)
    if others:
        raise RefusedError(
            listed(f"other programs are at work on {sandbox.config.label}:", others),
            NextStep("monitor", purpose="See who"),
            NextStep(ACTION, {"ignore_others": True}, "If that does not matter"),
        )


def _run(sandbox: Sandbox, line: str) -> tuple[int, tuple[str, ...]]:
    """Run the user's command here; return its exit code and the end of its output."""
    config = sandbox.config
    env = {
        **os.environ,
        "SANDBOX_OPS_SANDBOX_NAME": config.name,
        "SANDBOX_OPS_SANDBOX_HOST": config.host,
    }
    with acts.act(config, "on-idle command", line, mask=remote_text.masked) as outcome:
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", line],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_COMMAND_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise RefusedError(
                f"the command took longer than {_COMMAND_S:.0f} s"
            ) from error
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        outcome.append(f"exit code {code}")
    text = remote_text.safe(done.stdout)
    lines = tuple(formatting.one_line(line, 500) for line in text.splitlines())
    return code, lines[-_SHOWN_LINES:]
