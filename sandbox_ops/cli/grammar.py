"""What may stand on the command line, as the tasks themselves declare it."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from invoke import Collection, ParserContext

from sandbox_ops.cli.argv import Grammar, Options

INVOKES_OWN = {"complete", "print-completion-script"}
"""Options that Invoke's parser alone asks for."""


def grammar_of(program: str, core: ParserContext, collection: Collection) -> Grammar:
    """What may stand on the command line, as the tasks themselves declare it."""
    return Grammar(program=program, core=_options(core), verbs=_Verbs(collection))


class _Verbs(Mapping[str, Options]):
    """The options of each verb, read from its task when first used: most starts need one."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._names = tuple(collection.task_names)
        self._read: dict[str, Options] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> Options:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._read:
            self._read[name] = self._of(name)
        return self._read[name]

    def _of(self, name: str) -> Options:
        task = self._collection[name]
        shown = getattr(task, "operand", "")
        # JOB|PATH: the first takes either, and tells them apart itself; RUN TEXT...: it
        # takes all of them; PATH [DEST]: both
        operand = re.split(r"[| .]", shown.strip("[]"))[0].lower()
        options = _options(
            context_of(self._collection, name),
            name=name,
            operand=f"--{operand}" if operand else "",
            rest=getattr(task, "rest", ""),
        )
        return dataclasses.replace(
            options,
            operand_repeats="..." in shown or " " in shown,
            reads=getattr(task, "only_reads", False),
        )


def context_of(collection: Collection, name: str) -> ParserContext:
    """What Invoke's parser knows of a verb."""
    return ParserContext(name=name, args=collection[name].get_arguments())


def _options(
    context: ParserContext, *, name: str = "", operand: str = "", rest: str = ""
) -> Options:
    flags = {flag: context.flags[flag] for flag in _flag_names(context)}
    values = {
        flag: str if arg.kind is list else arg.kind
        for flag, arg in flags.items()
        if arg.takes_value and not arg.optional
    }
    return Options(
        name=name,
        values=values,
        switches=frozenset(flags) - frozenset(values),
        operand=operand,
        rest=rest,
    )


def _flag_names(context: ParserContext) -> Sequence[str]:
    hidden = {f"--{name}" for name in INVOKES_OWN}
    return [
        name
        for name in context.flag_names()
        if name in context.flags
        if name not in hidden
    ]
