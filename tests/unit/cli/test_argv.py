import dataclasses
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.cli.argv import Grammar, Options, rewrite, wants_json
from sandbox_ops.errors import UsageError

_COMMON = {"--sandbox": str}
_JSON = frozenset({"--json"})
GRAMMAR = Grammar(
    program="sandbox-ops",
    core=Options(
        values={"--list-format": str},
        switches=frozenset({"--help", "-h", "--list", "--version"}),
    ),
    verbs={
        "jobs": Options(
            name="jobs", values={**_COMMON, "--limit": int}, switches=_JSON
        ),
        "logs": Options(
            name="logs",
            values={**_COMMON, "--job": str, "--lines": int, "--filter": str},
            switches=_JSON | {"--follow", "-f"},
            operand="--job",
        ),
        "sync": Options(name="sync", values=_COMMON, switches=_JSON | {"--push"}),
        "train": Options(
            name="train",
            values={**_COMMON, "--command": str, "--set": str},
            switches=_JSON | {"--watch"},
            rest="--command",
        ),
    },
)


def read(line: str) -> list[str]:
    return rewrite(shlex.split(line), GRAMMAR)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("jobs", ["jobs"]),
        ("logs remote-1", ["logs", "--job", "remote-1"]),
        ("logs -f remote-1", ["logs", "-f", "--job", "remote-1"]),
        ("logs --lines 5 remote-1", ["logs", "--lines", "5", "--job", "remote-1"]),
        ("logs --lines=5 remote-1", ["logs", "--lines", "5", "--job", "remote-1"]),
        ("logs --filter -x remote-1", ["logs", "--filter", "-x", "--job", "remote-1"]),
        ("logs --job remote-1", ["logs", "--job", "remote-1"]),
        ("sync --push train", ["sync", "--push", "train"]),
        ("--json jobs", ["jobs", "--json"]),
        ("--sandbox b --json jobs", ["jobs", "--sandbox", "b", "--json"]),
        ("train --set a=1 --set b=2", ["train", "--set", "a=1", "--set", "b=2"]),
        ("--list", ["--list"]),
        ("--list-format json --list", ["--list-format", "json", "--list"]),
    ],
)
def test_words_become_those_that_invoke_can_read(line: str, words: list[str]) -> None:
    assert read(line) == words


@pytest.mark.parametrize("verb", ["run", "train"])
def test_an_error_says_where_the_dashes_of_a_command_belong(verb: str) -> None:
    grammar = dataclasses.replace(
        GRAMMAR, verbs={**GRAMMAR.verbs, "run": Options(name="run", rest="--command")}
    )
    with pytest.raises(UsageError) as caught:
        rewrite([verb, "echo", "a  b"], grammar)
    assert caught.value.message == f"`{verb}` takes a command after `--`, not `echo`"
    assert caught.value.hint == f"Write: sandbox-ops {verb} -- echo 'a  b'"


@pytest.mark.parametrize(
    "line", ["--help logs", "-h logs", "logs --help", "logs remote-1 -h --lines 5"]
)
def test_help_is_asked_for_before_or_after_a_verb(line: str) -> None:
    assert read(line) == ["--help", "logs"]


def test_help_without_a_verb_is_that_of_the_program() -> None:
    assert read("--help") == ["--help"]


def test_every_word_after_two_dashes_is_quoted() -> None:
    assert rewrite(["train", "--", "echo", "a b", "$HOME", "--json"], GRAMMAR) == [
        "train",
        "--command",
        "echo 'a b' '$HOME' --json",
    ]


@given(st.lists(st.text(st.characters(exclude_characters="\0")), min_size=1))
def test_what_follows_two_dashes_comes_back_word_for_word(words: list[str]) -> None:
    line = rewrite(["train", "--", *words], GRAMMAR)
    assert line[:2] == ["train", "--command"]
    assert shlex.split(line[2]) == words


@given(st.lists(st.text() | st.sampled_from(["logs", "--json", "--", "-f", "--set"])))
def test_any_line_is_read_or_refused(words: list[str]) -> None:
    try:
        rewrite(words, GRAMMAR)
    except UsageError as error:
        assert error.message  # noqa: PT017 - most lines are right, some are wrong


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        (
            "trian",
            "there is no verb `trian`",
            "did you mean `train`? every verb: sandbox-ops --list",
        ),
        ("xyzzy", "there is no verb `xyzzy`", "every verb: sandbox-ops --list"),
        (
            "--help trian",
            "there is no verb `trian`",
            "did you mean `train`? every verb: sandbox-ops --list",
        ),
        (
            "jobs remote-1",
            "`jobs` does not take `remote-1`",
            "see: sandbox-ops jobs --help",
        ),
        (
            "logs remote-1 remote-2",
            "`logs` does not take `remote-2`",
            "see: sandbox-ops logs --help",
        ),
        (
            "logs --lnes 5",
            "`logs` has no option --lnes",
            "did you mean `--lines`? see: sandbox-ops logs --help",
        ),
        ("logs --lines", "--lines needs a value", "see: sandbox-ops logs --help"),
        (
            "logs --lines five",
            "--lines takes a whole number, not `five`",
            "see: sandbox-ops logs --help",
        ),
        ("jobs --json=1", "--json takes no value", "see: sandbox-ops jobs --help"),
        (
            "jobs -- ls",
            "`jobs` takes nothing after `--`",
            "see: sandbox-ops jobs --help",
        ),
        (
            "-- ls",
            "`sandbox-ops` takes nothing after `--`",
            "every verb: sandbox-ops --list",
        ),
        (
            "train --",
            "there is no command after `train --`",
            "For example: sandbox-ops train -- nvidia-smi -L",
        ),
        (
            "train --command a -- b",
            "`train` got its command twice: with --command and after `--`",
            "leave out one of the two",
        ),
        (
            "sync train --json",
            "--json takes one verb a call, not 2: sync, train",
            "call the program once for each",
        ),
        (
            "--json",
            "there is no option --json before a verb",
            "a verb comes first; every verb: sandbox-ops --list",
        ),
    ],
)
def test_a_line_that_makes_no_sense_gets_the_right_usage(
    line: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(line)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_json_is_wanted_only_before_two_dashes() -> None:
    assert wants_json(["nonsense", "--json"])
    assert not wants_json(["run", "--", "x", "--json"])
