"""What every task has in common: how it is declared, how it answers, how it fails.

A task returns an `Answer`; this module alone has it printed (by `output`, where all that
a machine said is made safe), as one JSON object or as words, and alone turns an exception into a message and an exit code. Under `sandbox-ops`, under
plain `inv` and in somebody's own fabfile the end is the same: `invoke.Exit`.
(Over 250 lines: a verb, its answer and its failure are one contract.)
"""

import contextlib
import functools
import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from invoke import Argument, Exit
from invoke.tasks import Task

from sandbox_ops.cli import next_steps, output
from sandbox_ops.errors import NextStep, SandboxError, UsageError

if TYPE_CHECKING:
    from sandbox_ops.cli.layout import Column

INTERRUPTED = 130
_READER_GONE = 141  # 128 + SIGPIPE, as a shell would show it

Effect = Literal["reads", "changes"]
"""Whether a verb only looks, or changes something here or on the machine."""


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows that can stand in one table with those of other machines.

    Attributes:
        none: What is said where there are none.
        notes: Lines below the table.
        are_jobs: Whether each begins with the id of a job.
    """

    columns: Sequence["Column"]
    rows: Sequence[Sequence[object]]
    none: str = "nothing"
    notes: Sequence[str] = ()
    are_jobs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a task has to say at its end.

    Attributes:
        value: The object that `--json` prints; None where it printed lines already.
        show: Prints the same for people; does nothing where all was shown already.
        exit_code: Of the whole program.
        rows: The same as rows of a table, for those of several machines in one.
        report: What the workflow returned, for what is said of several machines together.
    """

    value: Mapping[str, Any] | None
    show: Callable[[], None] = _nothing
    exit_code: int = 0
    rows: "Rows | None" = None
    report: "Report | None" = None

    @classmethod
    def of(
        cls, report: "Report", show: Callable[[], None], rows: "Rows | None" = None
    ) -> "Answer":
        """What a workflow reports; its exit code is 1 where not all is well."""
        return cls(
            value=report.as_json(),
            show=show,
            exit_code=0 if report.ok else 1,
            rows=rows,
            report=report,
        )


class Report(Protocol):
    """What every workflow returns."""

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        ...

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        ...


class Body(Protocol):
    """A task's function: the context first, then options with their defaults."""

    def __call__(self, context: Any, /, *args: Any, **options: Any) -> Answer: ...  # noqa: ANN401, D102 - as Invoke calls it


class Verb(Task[Any]):
    """A task with what Invoke 2.2 cannot say of one.

    Attributes:
        operand: How the help shows its positional: `JOB` or `[JOB]`; "" if none.
        rest: The option that the words after `--` go to; "" if none.
        shorts: One-letter forms by option; Invoke would invent one for each.
        only_reads: Whether it changes nothing.
    """

    only_reads: bool = False
    operand: str = ""
    rest: str = ""
    shorts: Mapping[str, str] = {}

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """The options, with their help each time: Invoke hands it out once."""
        kept = dict(self.help)
        try:
            return super().get_arguments(ignore_unknown_help)
        finally:
            self.help = kept

    def arg_opts(
        self,
        name: str,
        default: Any,  # noqa: ANN401 - of any type
        taken_names: set[str],
    ) -> dict[str, Any]:
        """One option, with its one-letter form if it has one."""
        declared = super().arg_opts(name, default, taken_names)
        declared["names"] = [*declared["names"], *self.shorts.get(name, "")]
        return declared


_COMMON = {
    "on": "On these sandboxes at once: names or groups with commas between, or all.",
    "sandbox": "Which sandbox of sandbox.toml; the default one without it.",
    "json": "Print one JSON object on stdout, and everything else on stderr.",
}


def verb(
    effect: Effect,
    /,
    *,
    repeated: Sequence[str] = (),
    operand: str = "",
    rest: str = "",
    shorts: Mapping[str, str] | None = None,
    **options: str,
) -> Callable[[Body], Verb]:
    """Declare a task; `options` are the help lines of those that are its own.

    Its exceptions end as `invoke.Exit`, its answer is printed.
    """

    def declare(body: Body) -> Verb:
        common = inspect.signature(body).parameters.keys() & _COMMON.keys()
        task = Verb(
            _answering(body, effect),
            positional=(),
            iterable=repeated,
            auto_shortflags=False,
            help={**{name: _COMMON[name] for name in common}, **options},
        )
        task.operand, task.rest, task.shorts = operand, rest, shorts or {}
        task.only_reads = effect == "reads"
        return task

    return declare


def _answering(body: Body, effect: Effect) -> Callable[..., Answer]:
    @functools.wraps(body)
    def answering(context: Any, /, *args: Any, **options: Any) -> Answer:  # noqa: ANN401 - as Invoke calls it
        from sandbox_ops.guard import acts

        acts.identify("cli")
        as_json = bool(options.get("json"))
        output.accept_any_text()
        next_steps.forget_sandbox()
        try:
            if effect == "changes" and _is_dry(context):
                options["dry_run"] = _rehearsed(body)
            answer = body(context, *args, **options)
            if not as_json:
                answer.show()
            elif answer.value is not None:
                output.write_json(answer.value)
        except Exit:
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - reported, not hidden
            raise failure(error, as_json=as_json) from None
        if answer.exit_code:
            raise Exit(code=answer.exit_code)
        return answer

    return answering


def _is_dry(context: Any) -> bool:  # noqa: ANN401 - Invoke's or Fabric's context
    """Whether Invoke was told to run nothing: `inv --dry VERB`."""
    return bool(context.config.run.dry)


def _rehearsed(body: Body) -> Literal[True]:
    """The `dry_run` of a verb that has one.

    Raises:
        UsageError: It has none; nothing is done then.
    """
    if "dry_run" in inspect.signature(body).parameters:
        return True
    name = str(getattr(body, "__name__", "this verb")).replace("_", "-")
    raise UsageError(
        f"`{name}` has no dry run, and --dry was given; nothing was done",
        "leave out --dry. With it go the verbs that only look, and those that have "
        "--dry-run: train, reset, fetch, put, on-idle, mcp-install",
    )


def say(line: str) -> None:
    """Tell people something that is not the answer: on stderr, also with --json."""
    with contextlib.suppress(BrokenPipeError):
        output.write(f"{line}\n", "stderr")


def failure(error: BaseException, *, as_json: bool) -> Exit:
    """The end that an exception makes: its words, its code and its JSON object."""
    from sandbox_ops.text import formatting, remote_text

    if isinstance(error, BrokenPipeError) and output.reader_gone():
        output.silence_stdout()
        return Exit(code=_READER_GONE)
    if isinstance(error, KeyboardInterrupt):
        look = NextStep("jobs", purpose="What was started there may go on; see it")
        shown, kind = SandboxError("interrupted", look), "interrupted"
        code = INTERRUPTED
    else:
        shown = error if isinstance(error, SandboxError) else _our_bug(error)
        kind, code = shown.kind, shown.exit_code
    shown.hints = tuple(map(next_steps.on_chosen_sandbox, shown.hints))
    if as_json:
        output.write_json(_as_json(kind, shown))
    # made safe here too: under plain `inv` it is Invoke that prints it
    return Exit(remote_text.safe(formatting.error_text(shown)), code)


def _our_bug(error: BaseException) -> SandboxError:
    say("".join(traceback.format_exception(error)).rstrip())
    return SandboxError(
        f"{type(error).__name__}: {error}",
        "this is a bug of sandbox-ops: report it with the traceback above",
    )


def failure_facts(error: SandboxError) -> dict[str, Any]:
    """An error of one machine of several, for programs."""
    return _as_json(error.kind, error)


def _as_json(kind: str, error: SandboxError) -> dict[str, Any]:
    """An error for programs: the hint in words, and its steps as values."""
    return {
        "error": {
            "kind": kind,
            "message": error.message,
            "hint": error.hint,
            "next": [
                {"verb": step.verb, "arguments": dict(step.arguments)}
                for step in error.next_steps
            ],
        }
    }
