"""The logs of one job on several machines as one: each line behind its rank and machine.

As they are now, machine after machine, for a line has no time of its own; with `--follow` as
they come.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import logtail, output, session
from sandbox_ops.cli.face import INTERRUPTED, Answer, failure_facts, say
from sandbox_ops.errors import ConnectionLostError, SandboxError
from sandbox_ops.models import CommandResult, EndKind, Job
from sandbox_ops.models.nodes import log_prefix
from sandbox_ops.text import formatting, paging

if TYPE_CHECKING:
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.remote.stream import Begin
    from sandbox_ops.workflows.nodes_list import NodesEntry

_LOOK_UP_S = 0.5  # a wait without a bound may miss Ctrl-C
_OTHER_CODE = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One of the logs: whose, which job's, and what its lines begin with."""

    sandbox: "Sandbox"
    job: str
    prefix: str

    @property
    def name(self) -> str:
        """Of the machine."""
        return self.sandbox.config.name


def sources(
    sandboxes: "Sequence[Sandbox]", job: str, entry: "NodesEntry | None"
) -> tuple[Source, ...]:
    """Return the logs of a job on several machines; of a run over them, with their ranks."""
    if entry is None:
        return tuple(
            Source(sandbox=each, job=job, prefix=f"[{each.config.name}] ")
            for each in sandboxes
        )
    return tuple(
        Source(
            sandbox=each,
            job=entry.jobs.get(each.config.name, entry.name),
            prefix=log_prefix(rank, each.config.name),
        )
        for rank, each in enumerate(sandboxes)
    )


def show(
    on: str,
    job: str,
    entry: "NodesEntry | None",
    *,
    follow: bool,
    pattern: str,
    lines: int,
) -> Answer:
    """Show the last lines of each log, then with `follow` what comes."""
    from sandbox_ops.workflows.fleet import on_each

    with session.opened_on(",".join(entry.machines) if entry else on) as fleet:
        all_of_them = sources(fleet.sandboxes, job, entry)
        tails = on_each(
            all_of_them,
            lambda each: logtail.read(
                each.sandbox, each.job, pattern=pattern, lines=lines
            ),
        )
        if not follow:
            return Answer(
                value=_value(tails, entry),
                show=lambda: _show(tails),
                exit_code=_code(tails),
            )
        _show(tails)
        read = {k: t for k, t in tails.items() if isinstance(t, logtail.Tail)}
        jobs = {each: tail.job for each, tail in read.items()}
        begins = {each: tail.begin for each, tail in read.items()}
        return to_the_end(jobs, begins, pattern=pattern)


def to_the_end(
    jobs: Mapping[Source, Job],
    begins: "Mapping[Source, Mapping[str, Begin]]",
    *,
    pattern: str = "",
    quiet: bool = False,
    value: Mapping[str, Any] | None = None,
    with_code: bool = False,
) -> Answer:
    """Show what the jobs write until all have ended; Ctrl-C leaves them running.

    Args:
        jobs: As they were last known.
        begins: Where in each log to begin; at its beginning where it is not named.
        pattern: Only lines that match.
        quiet: Show nothing as it comes.
        value: What `--json` shows.
        with_code: End with the exit code of the first that did not succeed.

    Raises:
        ConnectionLostError: What became of one of them is unknown.
    """
    from sandbox_ops.machine import logs

    one_at_a_time = threading.Lock()
    over = threading.Event()
    feeds = {each: _Feed(each.prefix, pattern, one_at_a_time) for each in jobs}
    futures: dict[Source, Future[CommandResult]] = {}
    try:
        for source, job in jobs.items():
            listener = None if quiet else _listener(feeds[source])
            watch = logs.follow(source.sandbox, job, listener, begin=begins.get(source))
            watch.future.add_done_callback(lambda _: over.set())
            futures[source] = watch.future
        while not all(future.done() for future in futures.values()):
            over.wait(_LOOK_UP_S)
            over.clear()
    except KeyboardInterrupt:
        say("\nit goes on; Ctrl-C only ended this view")
        return Answer(value=value, exit_code=INTERRUPTED)
    results = {source: future.result() for source, future in futures.items()}
    for feed in feeds.values():
        feed.finish()
    for source, result in results.items():
        if result.end is EndKind.CONNECTION_LOST:
            raise ConnectionLostError(
                f"the connection to {source.name} was lost while {result.job.id} was"
                " followed; it goes on",
                "Follow it again with the same command.",
            )
    ended = {source: result.job for source, result in results.items()}
    codes = (job.outcome_code for job in ended.values())
    failed = [_OTHER_CODE if code is None else code for code in codes if code != 0]
    return Answer(
        value=value,
        show=lambda: _say_ends(ended),
        exit_code=failed[0] if failed and with_code else 0,
    )


def _say_ends(ended: Mapping[Source, Job]) -> None:
    for source, job in ended.items():
        say(f"{source.prefix}{formatting.job_line(job)}")


class _Feed(logtail.Feed):
    """A log's lines as they come, each whole and behind its prefix."""

    def __init__(self, prefix: str, pattern: str, lock: threading.Lock) -> None:
        super().__init__("stdout", pattern)
        self._prefix, self._lock = prefix, lock

    def _print(self, data: bytes) -> None:
        lines = paging.filtered(data, self._pattern)
        with self._lock:
            output.write("".join(f"{self._prefix}{line}\n" for line in lines))


def _listener(feed: _Feed) -> Callable[[str, bytes], None]:
    def take(stream: str, data: bytes) -> None:
        if stream == "stdout":
            feed.take(data)

    return take


def _show(tails: "Mapping[Source, logtail.Tail | SandboxError]") -> None:
    for source, tail in tails.items():
        if isinstance(tail, SandboxError):
            say(f"{source.name}: {tail.message}")
            continue
        lines = (f"{source.prefix}{line}\n" for line in tail.streams[0].lines)
        output.write("".join(lines))


def _value(
    tails: "Mapping[Source, logtail.Tail | SandboxError]", entry: "NodesEntry | None"
) -> dict[str, Any]:
    of_run = {"name": entry.name} if entry else {}
    return {
        **of_run,
        "sandboxes": {
            source.name: failure_facts(tail)
            if isinstance(tail, SandboxError)
            else tail.as_json()
            for source, tail in tails.items()
        },
    }


def _code(tails: "Mapping[Source, logtail.Tail | SandboxError]") -> int:
    from sandbox_ops.workflows.fleet import that_count

    judged = (tails[each] for each in that_count(tails, named=True))
    return next((t.exit_code for t in judged if isinstance(t, SandboxError)), 0)
