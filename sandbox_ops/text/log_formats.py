"""How far a training is, as one line of its log says it: a table of formats. Pure.

A format is a pattern with named groups. In a line the first format that matches counts,
and of its matches the last. `docs/reference/log-formats.md` shows what is read of each.
"""

import re
from dataclasses import dataclass
from typing import Final

from sandbox_ops.text import log_numbers
from sandbox_ops.text.log_numbers import COUNT, FLAGS, GAP

STEP: Final = "step"
EPOCH: Final = "epoch"
_OF = rf"(?P<step>{COUNT[1:-1]}){GAP}(?:/|of){GAP}(?P<total>{COUNT[1:-1]})"
_TIMES = r"(?P<passed>[\d:]{1,12})"
_WORDS = r"(?<![\w.-])(?:global_?|train_?)?"
_STEPS = r"(?:step|iter|iteration|batch|update|timestep)"
_OUTER = r"(?P<unit>epoch|episode|generation|gen|round|trial)"


@dataclass(frozen=True, slots=True)
class Count:
    """A place in a log that says how far the training is.

    Attributes:
        unit: What is counted: `step`, `epoch`, `episode`, ...
        label: What stands before a bar: several bars are told apart by it.
        in_epoch: It begins again with each epoch.
        bar: It is redrawn until it is full.
        from_zero: An epoch before a bar that may be the first, though it says 0.
        format: Which format says it.
    """

    unit: str
    step: float
    total: int | None = None
    label: str = ""
    rate_per_s: float | None = None
    eta_s: float | None = None
    time_of_day_s: float | None = None
    in_epoch: bool = False
    bar: bool = False
    from_zero: bool = False
    format: str = ""


@dataclass(frozen=True, slots=True)
class _Format:
    """A format; only lines that hold `sign` are tried, for a search costs far more."""

    name: str
    sign: str
    pattern: re.Pattern[str]
    bar: bool = False
    in_epoch: bool = False


def _format(
    name: str, sign: str, pattern: str, *, bar: bool = False, in_epoch: bool = False
) -> _Format:
    return _Format(name, sign, re.compile(pattern, FLAGS), bar, in_epoch)


_STEP_FORMATS = (
    _format(  # `42%|###  | 420/1000 [00:10<00:14, 41.3it/s, loss=0.3]`
        "tqdm",
        "%|",
        rf"%\|[^|]{{0,400}}\|{GAP}{_OF}{GAP}\[{_TIMES}<(?P<eta>[\d:?]{{1,12}})",
        bar=True,
    ),
    _format(  # `━━━━ 640/1,000 [ 0:00:01 < 0:00:09 , 2,367 it/s ]`
        "tqdm.rich",
        " < ",
        rf"{_OF}{GAP}\[{GAP}{_TIMES} < (?P<eta>[\d:-]{{1,12}})",
        bar=True,
    ),
    _format(  # `420/1000 0:00:10 • 0:00:14 41.30it/s`
        "lightning",
        "\u2022",
        rf"{_OF}{GAP}{_TIMES}{GAP}\u2022{GAP}(?P<eta>[\d:-]{{1,12}})",
        bar=True,
    ),
    _format(  # `64: 100% ━━━━ 2/2 43.6it/s 0.0s`
        "ultralytics",
        "% ",
        rf"\d{{1,3}}% [━─╸╺ ]{{4,80}} {_OF}",
        bar=True,
        in_epoch=True,
    ),
    _format(  # `12/32 ━━━━ 0s 5ms/step - loss: 0.6`, `12/32 [==>..] - ETA: 0s`
        "keras",
        "/",
        rf"^{GAP}{_OF}[ \t](?:[━╸╺ ]{{4,80}}|\[[=>.]{{4,80}}\])[ \t-]{{1,4}}"
        r"(?:ETA: )?\d{1,3}(?::\d|m?s)",
        bar=True,
        in_epoch=True,
    ),
    _format(  # `epoch 001:  50 / 1000 loss=..`, `Epoch: [3][ 50/1000]`
        "fairseq",
        "/",
        r"(?<![\w.-])epoch(?:\(train\))?[ :]{0,4}\[?(?P<epoch>\d{1,9})[]:, \t[]{1,10}"
        + _OF,
        in_epoch=True,
    ),
    _format(  # `300it [00:10, 31.9it/s, loss=0.3]`
        "tqdm without total",
        " [",
        rf"(?<![\w./])(?P<step>\d{{1,15}})[a-z]{{1,12}} \[{_TIMES}, ",
        bar=True,
    ),
    _format(  # `step 120/5000`, `Step: 120 / 5000`, `"iter": 7 of 9`
        "steps", "", rf"{_WORDS}{_STEPS}(?:e?s)?['\"]?{GAP}[:=#]?[ \t\[(]{{0,8}}{_OF}"
    ),
    _format("boosting", "]\t", r"^(?:\[[\d:]{8}\] )?\[(?P<step>\d{1,9})\]\t"),
    _format(  # `25:	learn: 0.1	test: 0.3	total: 61ms	remaining: 32.8ms`
        "catboost",
        ":\t",
        r"^(?P<step>\d{1,9}):\t(?:learn|test): .{0,300}\tremaining: (?P<left>.{1,20})",
    ),
    _format(
        "tables",
        "timesteps",
        r"^\|[ \t]{1,8}total[_ ]timesteps[ \t]{1,40}\|[ \t]{1,4}(?P<step>\d{1,15})",
    ),
    _format(
        "step alone",
        "",
        rf"{_WORDS}(?:step|iter|iteration|timestep)s?['\"]?{GAP}[:=#]?{GAP}"
        r"['\"]?(?P<step>\d{1,15})(?![\w.]|:\d)",
    ),
)
_OUTER_FORMATS = (
    _format(
        "epochs", "", rf"(?<![\w.-]){_OUTER}s?['\"]?{GAP}[:=#]?[ \t\[(]{{0,8}}{_OF}"
    ),
    _format(
        "epoch alone",
        "",
        rf"(?<![\w.-]){_OUTER}(?:\(train\))?['\"]?[ \t]{{0,8}}[:=#]?[ \t]{{0,8}}['\"\[]?"
        r"(?P<step>\d{1,9}(?:\.\d{1,20})?)(?![\w.]|:\d)",
    ),
)
_RATE = re.compile(
    rf"(?<![\w.,])(\d{{1,3}}(?:,\d{{3}}){{1,3}}|\d{{1,12}}(?:\.\d{{0,12}})?){GAP}"
    r"(?:(it|iter|step|batch|update)(?:e?s)?/s(?:ec)?"
    r"|(us|ms|s)(?:ec)?/(?:it|iter|step|batch))(?![\w/])",
    FLAGS,
)
_ETA = re.compile(  # `eta: 0:19:12`, `remaining: 1 day, 2:00:00`
    r"(?<![\w-])(?:eta|remaining|time left)['\"]?[:= \t]{1,8}"
    r"((?:\d{1,4} days?, {1,2})?\d{1,3}(?::\d{2}){1,2})(?![\d:])",
    FLAGS,
)
_DIGITS = re.compile(r"[\d.]+")
_UNITS = {"gen": "generation"}
_PER_SECOND = {"us": 1e6, "ms": 1e3, "s": 1.0}


def step_count(line: str) -> Count | None:
    """Return how many steps a line says are done."""
    for form in _STEP_FORMATS:
        if form.sign in line and (match := log_numbers.last(form.pattern, line)):
            return _count(form, match, line)
    return None


def outer_count(line: str) -> Count | None:
    """Return the epoch, episode, generation, round or trial that a line says."""
    for form in _OUTER_FORMATS:
        if match := log_numbers.last(form.pattern, line):
            return _count(form, match, line)
    return None


def row_count(columns: tuple[str, ...], row: str) -> Count | None:
    """Return the epoch or step that the first cell of a table's row says, `1/3`."""
    done, _, total = row.split(maxsplit=1)[0].partition("/")
    if not done.isdecimal() or not (total.isdecimal() or not total):
        return None
    return Count(
        columns[0].lower(), float(done[:15]), int(total[:15]) if total else None
    )


def around_bar(line: str) -> tuple[str, str]:
    """Return what stands before the bar in a line, without its percentage, and after it."""
    for form in _STEP_FORMATS:
        if form.bar and form.sign in line and (match := form.pattern.search(line)):
            before = line[: match.start()].rstrip().rstrip("0123456789")
            return before.rstrip(": "), line[match.end() :]
    return line, ""


def _count(form: _Format, match: re.Match[str], line: str) -> Count:
    groups = match.groupdict()
    total = groups.get("total")
    unit = (groups.get("unit") or STEP).lower()
    eta = log_numbers.seconds(groups["eta"]) if groups.get("eta") else _eta(line)
    if groups.get("left"):
        eta = log_numbers.duration(groups["left"])
    return Count(
        unit=_UNITS.get(unit, unit),
        step=float(groups["step"].replace(",", "")),
        total=log_numbers.count(total) if total else None,
        label=_label(line[: match.start()]) if form.bar else "",
        rate_per_s=_rate(line),
        eta_s=eta,
        time_of_day_s=None if form.bar else log_numbers.time_of_day(line),
        in_epoch=form.in_epoch,
        bar=form.bar,
        format=form.name,
    )


def _label(before: str) -> str:
    return " ".join(_DIGITS.sub(" ", before).split())[:40]


def _rate(line: str) -> float | None:
    """Return the steps per second that a line states, also as seconds per step."""
    match = log_numbers.last(_RATE, line) if "/" in line else None
    if match is None or not (value := log_numbers.number(match[1])):
        return None
    return value if match[2] else _PER_SECOND[match[3].lower()] / value


def _eta(line: str) -> float | None:
    match = log_numbers.last(_ETA, line)
    return log_numbers.seconds(match[1]) if match else None
