"""Hints of the library, which name commands, as the calls an agent has. Pure.

The library's errors say what to type next. With the workflow tools there, the same step
is a call; what has no call stays a command for a local shell.
"""

import itertools
import json
import re
import shlex
from collections.abc import Callable, Sequence

_WORD = r"--push|--dry-run|--(?:set|force) [\w.=-]+|--into FOLDER|remote-\d+"
_COMMAND = re.compile(
    r"sandbox-ops (setup|sync|train|monitor|reset|fetch|stop|logs|jobs)\b"
    rf"((?: (?:{_WORD}))*)(?! -)"
)


_PLACE = (
    "Run it inside of the clone",
    "Have the host start this server in the clone, or with --project CLONE",
)


def translated(hint: str, sandbox: str = "") -> str:
    """Return the hint with calls in the place of the commands that have one.

    Args:
        hint: Words of ours; nothing of the machine may be in it.
        sandbox: Which machine the calls are for; "" where that is the default.
    """
    more = {"sandbox": sandbox} if sandbox else {}

    def call(found: re.Match[str]) -> str:
        tool, arguments = _CALLS[found[1]](shlex.split(found[2]))
        said = {**arguments, **more}.items()
        words = ", ".join(f"{name}={json.dumps(value)}" for name, value in said)
        return f"{tool}({words})"

    return _COMMAND.sub(call, hint.replace(*_PLACE))


_Call = tuple[str, dict[str, object]]


def _job(words: Sequence[str]) -> dict[str, object]:
    named = [word for word in words if not word.startswith("--")]
    return {"bash_id": named[0]} if named else {}


def _train(words: Sequence[str]) -> _Call:
    pairs = list(itertools.pairwise(words))
    forced = [word for option, word in pairs if option == "--force"]
    given = dict(
        word.partition("=")[::2] for option, word in pairs if option == "--set"
    )
    arguments: dict[str, object] = {}
    if given:
        arguments["settings"] = given
    if forced:
        arguments["force"] = forced
    return "remote_train", arguments


def _fetch(words: Sequence[str]) -> _Call:
    if "--into" in words:
        return "remote_fetch", {"into": "FOLDER"}
    return "remote_fetch", {"dry_run": True} if "--dry-run" in words else {}


_CALLS: dict[str, Callable[[Sequence[str]], _Call]] = {
    "setup": lambda _: ("remote_setup", {}),
    "sync": lambda words: ("remote_sync", {"push": True} if "--push" in words else {}),
    "train": _train,
    "monitor": lambda _: ("remote_monitor", {}),
    "jobs": lambda _: ("remote_monitor", {}),
    "reset": lambda words: (
        "remote_reset",
        {} if "--dry-run" in words else {"confirm": True},
    ),
    "fetch": _fetch,
    "stop": lambda words: ("remote_stop", {**_job(words), "confirm": True}),
    "logs": lambda words: ("remote_bash_output", _job(words)),
}
