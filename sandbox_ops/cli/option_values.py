"""Reads the values of options: spans of time and assignments; reads the files that they name."""

import contextlib
import datetime as dt
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from sandbox_ops.errors import NextStep, UsageError

JOB = "A job: its id, number or name, last, t1/3, or gpu1:remote-3."
"""What names a job, for help."""

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_CLOCK = re.compile(r"(\d+):([0-5]\d):([0-5]\d)", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}")
_FOREVER_S = 1e9
_SPAN = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)", re.ASCII)


def seconds(text: str, option: str) -> float | None:
    """A limit of time: `90`, `90s`, `30m`, `8h`, `2d` or `1:30:00`; None for "".

    Raises:
        UsageError: It is none of these, or not more than nothing.
    """
    if not text:
        return None
    total = 0.0
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, rest = (int(part) for part in clock.groups())
        total = float(hours * 3600 + minutes * 60 + rest)
    elif span := _SPAN.fullmatch(text):
        total = float(span[1]) * _UNITS[span[2]]
    if total > _FOREVER_S:
        raise UsageError(
            f"{option} is at most {_FOREVER_S:.0f} seconds (31 years), not `{text}`",
            "leave it out for no limit",
        )
    if not total > 0:
        raise UsageError(
            f"{option} takes a span of time, not `{text}`",
            "write it as 90, 90s, 30m, 8h, 2d or 1:30:00",
        )
    return total


def since(text: str, now: float) -> float | None:
    """A time before `now`: `90m`, `2d`, `2026-11-24`, `2026-11-24T18:30`; None for "".

    Returns:
        Seconds since 1970.

    Raises:
        UsageError: It is neither a span of time nor a date.
    """
    if not text:
        return None
    if _DATE.match(text):
        with contextlib.suppress(ValueError):
            return dt.datetime.fromisoformat(text).astimezone().timestamp()
        raise UsageError(
            f"--since takes a date, not `{text}`", "such as 2026-11-24T18:30"
        )
    return now - (seconds(text, "--since") or 0)


def assignments(pairs: Sequence[str], option: str) -> dict[str, str]:
    """`steps=500` as `{"steps": "500"}`; a value may hold `=` and may be empty.

    Raises:
        UsageError: There is no `=`, no name, or one name twice.
    """
    values: dict[str, str] = {}
    for word in pairs:
        name, equals, value = word.partition("=")
        if not equals or not name.strip():
            raise UsageError(
                f"{option} takes NAME=VALUE, not `{word}`",
                f"for example: {option} steps=500000",
            )
        if name in values:
            raise UsageError(
                f"{option} was given `{name}` twice", "leave out one of the two"
            )
        values[name] = value
    return values


def environment(
    names: Sequence[str], env_file: str, environ: Mapping[str, str]
) -> dict[str, str]:
    """The variables for a job, none of which is ever on a command line.

    Args:
        names: Of variables of this environment.
        env_file: A file of NAME=VALUE lines; "" for none.
        environ: The environment.

    Raises:
        UsageError: One is not set here, or is given with its value.
        ConfigError: The file cannot be read, or is no such file.
    """
    values: dict[str, str] = {}
    if env_file:
        from sandbox_ops.config import secret_values

        values |= secret_values.of_file(Path(env_file).expanduser().absolute())
    for name in names:
        if "=" in name:
            raise UsageError(
                "--env takes the name of a variable, without its value: what stands on "
                "a command line, others can see",
                f"for example: export {name.partition('=')[0]}=...; then --env "
                f"{name.partition('=')[0]}",
            )
        if name not in environ:
            raise UsageError(
                f"--env {name}: there is no such variable here", f"export {name}=..."
            )
        values[name] = environ[name]
    return values


def needed(job: str, verb: str) -> str:
    """The job that a verb cannot do without.

    Raises:
        UsageError: It was not given.
    """
    if not job:
        raise UsageError(
            f"`{verb}` needs a job",
            NextStep(verb, {"job": "remote-1"}, "For example"),
            NextStep("jobs", purpose="They are listed by"),
        )
    return job


def line_count(lines: int) -> int:
    """How many of the last lines to show.

    Raises:
        UsageError: It is less than none.
    """
    if lines < 0:
        raise UsageError(
            f"--lines takes how many of the last lines, not {lines}",
            "for example: --lines 100; 0 is all of them",
        )
    return lines


def gpu_count(text: str) -> int | None:
    """How many GPUs to take; None for "": as many as the verb thinks right.

    Raises:
        UsageError: It is no whole number from 0 on.
    """
    if not text:
        return None
    if not text.isascii() or not text.isdecimal():
        raise UsageError(
            f"--gpus takes a whole number, not `{text}`", "for example: --gpus 1"
        )
    return int(text)
