"""Reads a command line before Invoke does, and says what is wrong with it.

Invoke 2.2 has no optional positionals and joins what follows `--` into one string. So
`logs remote-1` becomes `logs --job remote-1`, and `run -- CMD...` becomes `run --command
'CMD...'` with every word quoted. Pure: words in, words out.
"""

import shlex
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sandbox_ops.cli import near_verbs
from sandbox_ops.errors import NextStep, UsageError

_HELP = ("--help", "-h")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may follow a verb, or stand before it.

    Attributes:
        name: The verb; "" for the options of the program itself.
        values: Options that take a value, with the type that reads it.
        switches: Options that take none.
        operand: The option that a bare word stands for (`--job`), or "".
        operand_repeats: Whether there may be several bare words.
        rest: The option that everything after `--` stands for (`--command`), or "".
        reads: Whether the verb only reads.
    """

    name: str = ""
    values: Mapping[str, Callable[[str], object]] = field(default_factory=dict)
    switches: frozenset[str] = frozenset()
    operand: str = ""
    operand_repeats: bool = False
    rest: str = ""
    reads: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Grammar:
    """Everything that may stand on the command line of `program`."""

    program: str
    core: Options
    verbs: Mapping[str, Options]


def wants_json(argv: Sequence[str]) -> bool:
    """Whether `--json` is there, also where the rest of the line makes no sense."""
    return "--json" in _halves(argv)[0]


def rewrite(argv: Sequence[str], grammar: Grammar) -> list[str]:
    """The words after the program's name, as Invoke can read them.

    Raises:
        UsageError: What is wrong, with the nearest right word as hint.
    """
    body, rest = _halves(argv)
    reader = _Reader(grammar, _verb_first(body))
    reader.read()
    if reader.help_for:
        return ["--help", reader.help_for]
    _refuse_change_after_reading(reader.names, grammar)
    if rest is not None:
        reader.take_rest(rest)
    if "--json" in reader.seen and len(reader.names) > 1:
        raise UsageError(
            f"--json takes one verb a call, not {len(reader.names)}: {', '.join(reader.names)}",
            "call the program once for each",
        )
    return reader.out


def _refuse_change_after_reading(names: Sequence[str], grammar: Grammar) -> None:
    """Keep what begins with a verb that only reads from changing anything.

    An agent's rule that allows `sandbox-ops jobs` looks at how a command begins, and would
    allow `sandbox-ops jobs reset`, too.
    """
    changing = [name for name in names if not grammar.verbs[name].reads]
    if changing and grammar.verbs[names[0]].reads:
        raise UsageError(
            f"`{names[0]}` only reads, and `{changing[0]}` cannot follow it",
            "call the program once for each",
        )


def _halves(argv: Sequence[str]) -> tuple[list[str], list[str] | None]:
    arguments = list(argv)
    if "--" not in arguments:
        return arguments, None
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _verb_first(arguments: list[str]) -> list[str]:
    """`--json jobs` says the same as `jobs --json`, and `--sandbox` likewise."""
    early: list[str] = []
    while arguments and arguments[0].partition("=")[0] in {"--json", "--sandbox"}:
        taken = 2 if arguments[0] == "--sandbox" else 1
        early += arguments[:taken]
        arguments = arguments[taken:]
    return [*arguments[:1], *early, *arguments[1:]]


def _near(word: str, known: Iterable[str]) -> str:
    import difflib  # only a mistake pays for it

    nearest = difflib.get_close_matches(word, sorted(known), n=1)
    return f"did you mean `{nearest[0]}`? " if nearest else ""


class _Reader:
    """One walk over the words before `--`."""

    def __init__(self, grammar: Grammar, arguments: Iterable[str]) -> None:
        self.grammar = grammar
        self.words = deque(arguments)
        self.verb = grammar.core
        self.names: list[str] = []
        self.taken: set[str] = set()
        self.seen: set[str] = set()
        self.help_for = ""
        self.out: list[str] = []

    @property
    def help(self) -> str:
        """Where the usage of the verb is documented."""
        if self.verb.name:
            return f"see: {self.grammar.program} {self.verb.name} --help"
        return f"every verb: {self.grammar.program} --list"

    def read(self) -> None:
        """Fill `out`, up to the end or to a question for help."""
        while self.words and not self.help_for:
            word = self.words.popleft()
            if word.startswith("-") and len(word) > 1:
                self._option(word)
            elif word in self.grammar.verbs:
                self.verb = self.grammar.verbs[word]
                self.names.append(word)
                self.taken = set()
                self.out.append(word)
            else:
                self._bare(word)

    def take_rest(self, rest: list[str]) -> None:
        """Give the words after `--` to the last verb, each quoted."""
        verb = self.verb
        if not verb.rest:
            who = f"`{verb.name}`" if verb.name else f"`{self.grammar.program}`"
            raise UsageError(f"{who} takes nothing after `--`", self.help)
        if verb.rest in self.taken:
            raise UsageError(
                f"`{verb.name}` got its command twice: with {verb.rest} and after `--`",
                "leave out one of the two",
            )
        if not rest:
            raise UsageError(
                f"there is no command after `{verb.name} --`",
                NextStep(verb.name, {"command": "nvidia-smi -L"}, "For example"),
            )
        self.out += [verb.rest, shlex.join(rest)]

    def _bare(self, word: str) -> None:
        if not self.verb.name:
            near = near_verbs.meant(word, self.grammar.verbs)
            raise UsageError(f"there is no verb `{word}`", near + self.help)
        near = _near(word, self.grammar.verbs)
        if self.verb.rest and not self.verb.operand:
            raise self._command_without_dashes(word)
        is_taken = not self.verb.operand_repeats and self.verb.operand in self.taken
        if not self.verb.operand or is_taken:
            raise UsageError(
                f"`{self.verb.name}` does not take `{word}`", near + self.help
            )
        self.taken.add(self.verb.operand)
        self.out += [self.verb.operand, word]

    def _command_without_dashes(self, word: str) -> UsageError:
        """`run echo hi` was meant as `run -- echo hi`: say that, not the nearest verb."""
        command = shlex.join([word, *self.words])
        return UsageError(
            f"`{self.verb.name}` takes a command after `--`, not `{word}`",
            NextStep(self.verb.name, {"command": command}, "Write"),
        )

    def _option(self, word: str) -> None:
        name, value = _parted(word)
        options = self._options_with(name)
        self.seen.add(name)
        self.taken.add(name)
        if name in _HELP and (topic := self._topic()):
            self.help_for = topic  # nothing else on the line matters then
        elif name in options.values:
            self.out += [name, self._value(name, value, options.values[name])]
        elif value is None:
            self.out.append(name)
        else:
            raise UsageError(f"{name} takes no value", self.help)

    def _topic(self) -> str:
        if self.verb.name or not self.words or self.words[0].startswith("-"):
            return self.verb.name
        if self.words[0] not in self.grammar.verbs:
            self._bare(self.words[0])
        return self.words[0]

    def _options_with(self, name: str) -> Options:
        for options in (self.verb, self.grammar.core):
            if name in options.values or name in options.switches:
                return options
        near = _near(name, {*self.verb.values, *self.verb.switches})
        if self.verb.name:
            raise UsageError(
                f"`{self.verb.name}` has no option {name}", near + self.help
            )
        if any(name in verb.switches for verb in self.grammar.verbs.values()):
            near = "a verb comes first; "
        raise UsageError(f"there is no option {name} before a verb", near + self.help)

    def _value(
        self, name: str, value: str | None, kind: Callable[[str], object]
    ) -> str:
        if value is None:
            if not self.words:
                raise UsageError(f"{name} needs a value", self.help)
            value = self.words.popleft()
        try:
            kind(value)
        except ValueError:
            wanted = "a whole number" if kind is int else "a number"
            raise UsageError(
                f"{name} takes {wanted}, not `{value}`", self.help
            ) from None
        return value


def _parted(word: str) -> tuple[str, str | None]:
    """`--lines=5`, `-n5` and `--lines` as a name and, where it is glued on, a value."""
    name, equals, value = word.partition("=")
    if not name.startswith("--") and len(name) > len("-x"):
        return word[:2], word[2:]
    return name, value if equals else None
