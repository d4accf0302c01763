"""What runs wrote of their metrics, from the beginning to the end, in a bounded answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.remote import script_replies

SOME_LINES = 4000
"""So many lines of each run are enough for its final and its best metrics."""

_BYTES_A_LINE = 160
_KEPT_BYTES = 256 << 20
_DEADLINE_S = 600
# A number beside a word that stands near metrics; `name=0.1`, `name: 0.1`; what begins a
# row or the head of a table, or JSON. What a line says, the parser decides.
_WORDS = "([Ll]oss|LOSS|[Ee]poch|[Ss]tep|[Ii]ter|[Rr]eward|[Ee]pisode|[Gg]eneration|[Aa]cc|[Ss]core)"
PATTERN = (
    rf"{_WORDS}.*([0-9]|[Nn]a[Nn]|[Ii]nf)|[0-9].*{_WORDS}|[0-9]/[0-9]|^[0-9[{{|]"
    r"|[a-zA-Z_)'\"][ \t]*[:=][ \t]*['\"]?[-+]?([0-9.]|[Nn]a[Nn]|[Ii]nf)"
    r"|^[ \t]*([Ee]poch|[Ss]tep|[Cc]lass)[ \t][ \t]"
)
_ANY_NUMBER = "[0-9]"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricLines:
    """The lines of one run.

    Attributes:
        source: "metrics" (its file of metrics), "log", or "none" where it wrote nothing.
        lines: How many there are on the machine.
        sampled: Of how many blocks of lines `text` has one; 0: it has all.
    """

    source: str
    lines: int
    sampled: int
    text: str


def read(
    sandbox: Sandbox,
    job_ids: Sequence[str],
    *,
    lines: int = SOME_LINES,
    has_patterns: bool = False,
) -> dict[str, MetricLines]:
    """Return what each job wrote of its metrics.

    Args:
        sandbox: Where they are.
        job_ids: Which; one whose folder is gone says nothing.
        lines: At most about so many of each; evenly spread blocks of what is longer.
        has_patterns: The project has patterns of its own: any line with a number counts.

    Raises:
        ConnectionLostError: The link died.
        ConnectError: The machine cannot be reached.
    """
    if not job_ids:
        return {}
    doing = f"read the metrics of {len(job_ids)} runs"
    pattern = _ANY_NUMBER if has_patterns else PATTERN
    result = sandbox.script(
        "run_curves",
        *(str(lines), str(lines * _BYTES_A_LINE), pattern),
        *job_ids,
        keep_bytes=_KEPT_BYTES,
        timeout_s=_DEADLINE_S,
        description=doing,
    )
    if not result.ok:
        script_replies.parse_result(result, doing)  # raises
    return parts(result.stdout.head + result.stdout.tail)


def parts(data: bytes) -> dict[str, MetricLines]:
    """Return what run_curves.sh printed, by the ids of the jobs. Pure."""
    read_parts = {}
    for part in data.split(b"\0")[1:]:
        head, _, text = part.partition(b"\n")
        fields = (*head.decode("ascii", "replace").split(), "", "none", "0", "0")
        job_id, source, lines, sampled = fields[:4]
        read_parts[job_id] = MetricLines(
            source=source,
            lines=int(lines) if lines.isdecimal() else 0,
            sampled=int(sampled) if sampled.isdecimal() else 0,
            text=text.decode("utf-8", "backslashreplace"),
        )
    return read_parts
