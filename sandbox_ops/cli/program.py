"""The program `sandbox-ops`: Invoke's, with the command line that people expect.

Optional positionals, `--` as a list of words, usage errors that end with 2, completion,
and one place where whatever goes wrong gets its words and its exit code.
"""

import inspect
import os
import sys

from sandbox_ops.cli import lean_invoke  # noqa: F401 - before Invoke, and what imports it

# isort: split
from invoke import (
    Argument,
    Collection,
    Config,
    Exit,
    ParseError,
    Parser,
    ParserContext,
    Program,
)

from sandbox_ops.cli import face, interrupts, option_help, output, shared_connection
from sandbox_ops.cli.argv import rewrite, wants_json
from sandbox_ops.cli.grammar import INVOKES_OWN, context_of, grammar_of
from sandbox_ops.errors import UsageError

_NAME = "sandbox-ops"
_NO_AGENT = "no-agent"

# Of Invoke's own options those that mean something here: our tasks run nothing locally
_CORE = {
    "complete",
    "debug",
    "help",
    "list",
    "list-depth",
    "list-format",
    "print-completion-script",
    "version",
    "write-pyc",
}


def main(verbs: Collection) -> None:
    """Run a verb as the command line asks for it, and exit with its code."""
    program = SandboxProgram(verbs)
    if sys.argv[1:3] == ["--complete", "--"]:  # a shell asks, before threads are begun
        sys.exit(program.complete(sys.argv[3:]))
    interrupts.reach_main_thread()
    program.run()


class SandboxProgram(Program):
    """Invoke's program over one fixed collection of tasks.

    Args:
        verbs: The tasks.
    """

    def __init__(self, verbs: Collection) -> None:
        super().__init__(
            name=_NAME, binary=_NAME, binary_names=[_NAME], namespace=verbs
        )
        self._verbs = verbs

    def run(self, argv: list[str] | None = None, exit: bool = True) -> None:  # noqa: A002 - Invoke's names
        """Do what the words say; exit with the code of the table, if `exit`."""
        arguments = sys.argv if argv is None else argv
        code = self._outcome(arguments)
        if exit:
            sys.exit(code)

    def _outcome(self, arguments: list[str]) -> int:
        output.accept_any_text()
        as_json = wants_json(arguments[1:])
        try:
            ended = self._steps(arguments)
            output.flush()
        except ParseError as error:
            usage = UsageError(str(error), f"see: {_NAME} --help")
            ended = face.failure(usage, as_json=as_json)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last net
            ended = face.failure(error, as_json=as_json)
        if ended.message:
            face.say(ended.message)
        return ended.code

    def complete(self, arguments: list[str]) -> int:
        """Print what may stand in the place of the last of these words."""
        from sandbox_ops.cli import completion

        output.accept_any_text()
        grammar = grammar_of(_NAME, self.initial_context, self._verbs)
        helps = {name: task.__doc__ or "" for name, task in self._verbs.tasks.items()}
        for candidate in completion.candidates(arguments, grammar, helps):
            output.write(f"{candidate}\n")
        return 0

    def _steps(self, arguments: list[str]) -> Exit:
        try:
            self.create_config()
            self.parse_core(arguments)
            self.parse_collection()
            self.parse_tasks()
            self.parse_cleanup()
            self.update_config()
            self.execute()
        except Exit as ended:
            return ended
        return Exit()

    def create_config(self) -> None:
        """Read none of Invoke's configuration files, some of which are programs."""
        self.config = Config(lazy=True)

    def update_config(self, merge: bool = True) -> None:
        """Do nothing: what Invoke would set here is about commands it runs itself."""

    def core_args(self) -> list[Argument]:
        """Those of Invoke's own options that mean something here."""
        kept = [arg for arg in super().core_args() if arg.name in _CORE]
        for arg in kept:
            if arg.name == "list":  # there are no collections below ours to name
                arg.kind, arg.optional, arg.help = bool, False, "List the verbs."
        own = "Open a new connection, and keep none for the next command."
        return [*kept, Argument(name=_NO_AGENT, kind=bool, default=False, help=own)]

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse the program's own options; leave the writing of bytecode as it was."""
        before = sys.dont_write_bytecode
        super().parse_core(argv)
        sys.dont_write_bytecode = before  # Invoke forbids it, and every start pays
        if self.args[_NO_AGENT].value:
            os.environ[shared_connection.VARIABLE] = "0"

    def normalize_argv(self, argv: list[str] | None) -> None:
        """Turn the words into those that Invoke can read.

        Raises:
            UsageError: They make no sense.
        """
        super().normalize_argv(argv)
        grammar = grammar_of(_NAME, self.initial_context, self._verbs)
        self.argv = [*self.argv[:1], *rewrite(self.argv[1:], grammar)]

    def _make_parser(self) -> Parser:
        """Know the verbs that are on the line: to copy all of them takes 10 ms."""
        named = [word for word in self._verbs.task_names if word in self.argv]
        contexts = [context_of(self._verbs, name) for name in named]
        return Parser(initial=self.initial_context, contexts=contexts)

    def list_tasks(self) -> None:
        """List the verbs.

        Raises:
            UsageError: The format is not known.
        """
        if self.list_format not in ("flat", "nested", "json"):
            raise UsageError(
                f"--list-format takes flat, nested or json, not `{self.list_format}`"
            )
        super().list_tasks()

    def task_list_opener(self, extra: str = "") -> str:  # noqa: ARG002 - Invoke's
        """How the list of the verbs begins."""
        return "Verbs"

    def print_version(self) -> None:
        """Print the version of the installed package."""
        from importlib.metadata import version

        output.write(f"{_NAME} {version(_NAME)}\n")

    def print_help(self) -> None:
        """Print what can be typed."""
        output.write(f"Usage: {_NAME} VERB [JOB] [--options] [-- COMMAND...]\n\n")
        self.list_tasks()
        output.write("Options:\n\n")
        self.print_columns(_core_help(self.initial_context))
        output.write(f"The options of a verb: {_NAME} VERB --help\n")

    def print_task_help(self, name: str) -> None:
        """Print what may follow a verb."""
        task = self._verbs[name]
        operand = f" {task.operand}" if getattr(task, "operand", "") else ""
        rest = " [-- COMMAND...]" if getattr(task, "rest", "") else ""
        output.write(f"Usage: {_NAME} {name}{operand} [--options]{rest}\n\n")
        output.write(f"{inspect.getdoc(task)}\n\nOptions:\n\n")
        self.print_columns(option_help.tuples(self.parser.contexts[name]))


def _core_help(core: ParserContext) -> list[tuple[str, str | None]]:
    hidden = tuple(f"--{name}" for name in INVOKES_OWN)
    return [each for each in core.help_tuples() if not each[0].startswith(hidden)]
