"""What may stand in the place of the last word of a command line.

The shells' scripts (completions/) call `sandbox-ops --complete -- WORD...`, the last word
as far as it is typed, and get a candidate a line, a tab and its description after it;
`:files` stands for the shell's own completion of paths. Whatever goes wrong, nothing is
said: somebody is typing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from sandbox_ops.cli.argv import Grammar, Options

SHELLS = ("bash", "fish", "zsh")
FILES = ":files"
_MACHINE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a command line is being typed.

    Attributes:
        verb: The options of the verb; those of the program before one.
        option: The option whose value is typed; "" where none is.
        typed: The word so far, without `--option=` before it.
        before: What stands before it in the same word: `--option=`.
        taken: Options that have their value, the operand's among them.
        sandbox: What the line says after `--sandbox`.
    """

    verb: Options
    option: str
    typed: str
    before: str
    taken: frozenset[str]
    sandbox: str


def script(shell: str) -> str:
    """The completion script for one of `SHELLS`."""
    folder = resources.files("sandbox_ops.cli") / "completions"
    return (folder / f"sandbox-ops.{shell}").read_text("utf-8")


def candidates(
    typed: Sequence[str], grammar: Grammar, helps: Mapping[str, str]
) -> list[str]:
    """What may stand in the place of the last of these words."""
    if "--" in typed[:-1]:
        return []  # a command for the machine, whose programs are not known here
    cursor = locate(typed, grammar)
    matches = (
        _values(cursor) if cursor.option else _options_and_verbs(cursor, grammar, helps)
    )
    return [
        line if line == FILES else cursor.before + line
        for line in matches
        if line == FILES or line.startswith(cursor.typed)
    ]


def locate(typed: Sequence[str], grammar: Grammar) -> Cursor:
    """Read a line up to the word that is typed; what makes no sense is passed over. Pure."""
    verb, option, sandbox = grammar.core, "", ""
    taken: set[str] = set()
    # bash cuts `--option=value` into three words
    for word in (each for each in typed[:-1] if each != "="):
        name, equals, value = word.partition("=")
        if option or equals:
            sandbox = (
                (value if equals else word)
                if "--sandbox" in (option, name)
                else sandbox
            )
            taken.add(option or name)
            option = ""
        elif word in grammar.verbs:
            verb, taken = grammar.verbs[word], set()
        elif word in verb.values:
            option = word
        elif not word.startswith("-") and not verb.operand_repeats:
            taken.add(verb.operand)
    last = typed[-1].lstrip("=")
    name, equals, value = last.partition("=")
    if not option and equals and name in verb.values:
        return Cursor(verb, name, value, f"{name}=", frozenset(taken), sandbox)
    if not option and not last.startswith("-") and verb.operand not in taken:
        option = verb.operand
    return Cursor(verb, option, last, "", frozenset(taken), sandbox)


def _options_and_verbs(
    cursor: Cursor, grammar: Grammar, helps: Mapping[str, str]
) -> Iterator[str]:
    """Options after a dash, else verbs where none stands yet."""
    if cursor.typed.startswith("-"):
        yield from sorted({*cursor.verb.values, *cursor.verb.switches} - cursor.taken)
    elif not cursor.verb.name:
        for name in sorted(grammar.verbs):
            yield _described(name, helps.get(name, ""))


def _described(value: str, description: str) -> str:
    first = " ".join(description.split("\n", 1)[0].split())
    return f"{value}\t{first}" if first else value


def _values(cursor: Cursor) -> Iterable[str]:
    fill = _FILLED_BY.get(cursor.option)
    return fill(cursor) if fill else ()


def _paths(_: Cursor) -> Iterable[str]:
    return (FILES,)


def _one_of(*names: str) -> Callable[[Cursor], Iterable[str]]:
    return lambda _: names


def _force_names(_: Cursor) -> Iterable[str]:
    from sandbox_ops.models.objections import FORCE_NAMES

    return FORCE_NAMES


def _states(_: Cursor) -> Iterable[str]:
    from sandbox_ops.models import JobState

    return map(str, JobState)


def _hosts(_: Cursor) -> Iterable[str]:
    from sandbox_ops.cli.mcp_hosts import HOSTS

    return HOSTS


def _sandboxes(_: Cursor) -> Iterable[str]:
    from sandbox_ops.cli import completion_lookup

    return completion_lookup.sandboxes()


def _jobs(cursor: Cursor) -> Iterable[str]:
    from sandbox_ops.cli import completion_lookup

    lines = completion_lookup.jobs(cursor.sandbox, timeout_s=_MACHINE_TIMEOUT_S)
    return [_described(*line) for line in lines]


_FILLED_BY: Mapping[str, Callable[[Cursor], Iterable[str]]] = {
    "--force": _force_names,
    "--group": _jobs,
    "--host": _hosts,
    "--format": _one_of("csv", "json", "mlflow"),
    "--into": _paths,
    "--job": _jobs,
    "--keep": _paths,
    "--out": _paths,
    "--run": _jobs,
    "--sandbox": _sandboxes,
    "--scope": _one_of("project", "user"),
    "--shell": _one_of(*SHELLS),
    "--state": _states,
    "--toolsets": _one_of("remote", "remote,workflow"),
}
