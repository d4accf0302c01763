"""The metrics that one line of a log says. Pure."""

import re
from collections.abc import Mapping

from sandbox_ops.text.log_numbers import FLAGS, GAP, VALUE, number

_NAMED = re.compile(  # `loss=1.2`, `loss: 1.2`, `'loss': '1.2'`, also `train/loss`
    rf"(?<![\w./:-])([a-z_][\w./@-]{{0,63}})['\"]?{GAP}[:=]{GAP}['\"]?{VALUE}", FLAGS
)
_QUALIFIER = (
    r"train(?:ing)?|val(?:id|idation)?|eval|test|lm|total|mean|average|avg|best|final"
)
_KNOWN = re.compile(  # also `loss 1.2`, `val loss 1.2`, `loss is nan`: always metrics
    rf"(?<![\w./-])((?:(?:{_QUALIFIER})[ ])?(?:[\w-]{{0,40}}[_/])?"
    r"(?:loss|lr|acc|accuracy|ppl|perplexity|reward|grad_norm"
    r"|f1|auc|bpc|bleu|wer|rmse|mae|mse|tok/s|learning rate|grad norm))"
    rf"(?:['\"]?{GAP}[:=]{GAP}['\"]?|[ \t]{{1,8}}(?:is[ \t]{{1,8}})?){VALUE}",
    FLAGS,
)
_CELL = re.compile(  # `lm loss: 1.07E+01`, `nll_loss 5.2`, `clip 0%`: all of a cell
    rf"[ \t]{{0,40}}([a-z_][\w ./()'@-]{{0,63}}?){GAP}[:=]?[ \t]{{1,40}}{VALUE}%?(?: ?\([ \d.e+-]{{1,24}}\))?[ \t]{{0,40}}",
    FLAGS,
)
_SEPARATOR = re.compile(r" \| |\t")
_BOOSTING = re.compile(rf"([\w' @.-]{{1,64}}?): ?{VALUE}(?=[\t]|$)", FLAGS)
_COLUMN = re.compile(r"[a-z_][\w./()-]{0,39}", FLAGS)
_IS_COUNT = re.compile(
    r"(?:(?:total|max|min|num|n|global|current|cur|train|optimization|consumed|eval)[ _-]){0,3}"
    r"(?:step|epoch|iter|iteration|batch|update|timestep|episode|generation|gen|round"
    r"|trial|sample|instance|image)(?:e?s)?(?:[ _](?:num|idx|index|id))?"
)
_NOT_METRICS = re.compile(
    r"eta|elapsed|cuda|remaining|total|v_num|seed|(?:local_)?rank|world_size|pid|port|line"
    r"|version|time_elapsed|size|date|job|number of .*|.*\.py"
)
_MAX_PAIRS = 40


def in_line(line: str, *, is_training: bool) -> dict[str, float]:
    """Return the metrics of a line.

    Args:
        line: Without the bar that is in it.
        is_training: Whether it says how far the training is. Of others only those count
            that hold a name which is always a metric's, and tables.
    """
    if line.startswith("|") and line.count("|") == 3:  # noqa: PLR2004 - two cells
        return _kept(_table_row(line))
    if line.count("=") > _MAX_PAIRS or line.count(":") > _MAX_PAIRS:
        return {}  # a configuration that is printed
    if line.lstrip().lower().startswith(("optimizer", "[lightgbm]")):
        return {}
    known = {name: number(value) for name, value in _KNOWN.findall(line)}
    if not known and not is_training:
        return {}
    if "\t" in line and line[:1] in "[0123456789":
        return _kept({k.strip(): number(v) for k, v in _BOOSTING.findall(line[:2000])})
    named: dict[str, float] = {}
    cells = _SEPARATOR.split(line)
    for cell in cells:
        whole = _CELL.fullmatch(cell.strip(" |")) if len(cells) > 1 else None
        if whole:
            named[whole[1]] = number(whole[2])
        else:
            pairs = _NAMED.findall(cell) + _KNOWN.findall(cell)
            named |= {name: number(value) for name, value in pairs}
    return _kept(named)


def _table_row(line: str) -> dict[str, float]:
    """Return the metric of a table's row, `|    ep_rew_mean    | 25.5    |`."""
    cells = [cell.strip() for cell in line.strip("| \t").split("|")]
    if len(cells) != 2 or not re.fullmatch(VALUE, cells[1], FLAGS):  # noqa: PLR2004
        return {}
    return {cells[0]: number(cells[1])} if _COLUMN.fullmatch(cells[0]) else {}


def column_names(line: str) -> tuple[str, ...]:
    """Return the columns that a line heads, `Epoch  GPU_mem  box_loss`; () if none."""
    if not re.match(r"[ \t]{0,40}(?:epoch|step|class)[ \t]{2,}", line, re.IGNORECASE):
        return ()
    headings = [word.strip("():") for word in line.split()]
    names = tuple(word.rpartition("(")[2] for word in headings)
    return names if all(map(_COLUMN.fullmatch, names)) else ()


def in_columns(names: tuple[str, ...], line: str) -> dict[str, float]:
    """Return the metrics of a row below such a head; {} if it is none."""
    cells = line.split()
    if not names or len(cells) < len(names) or not re.match(r"\d|all$", cells[0]):
        return {}
    pairs = zip(names[1:], (cell.rstrip(":") for cell in cells[1:]), strict=False)
    return _kept({n: number(v) for n, v in pairs if re.fullmatch(VALUE, v, FLAGS)})


def _kept(metrics: Mapping[str, float]) -> dict[str, float]:
    return {
        name: value
        for name, value in metrics.items()
        if not _NOT_METRICS.fullmatch(plain := name.lower())
        and not _IS_COUNT.fullmatch(plain)
    }
