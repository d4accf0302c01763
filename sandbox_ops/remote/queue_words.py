"""Why a job waits in the queue, from the words of the machine to those of people. Pure.

What the machine sends: the reason's word and its operand in a line (`say_wait` in
scripts/lib/queue.sh), then a line for each GPU or slot that is not free.
"""

from collections.abc import Callable, Sequence

from sandbox_ops.models import job_ids
from sandbox_ops.models.queue import ANY_END
from sandbox_ops.remote import slurm_words

_MOST_LINES = 64
_LONGEST = 60


def waits_for(text: str, attempt: int, now_cs: int) -> str:
    """Return why a job waits.

    Args:
        text: As the machine sent it.
        attempt: Which attempt would begin.
        now_cs: The machine's uptime, in centiseconds.
    """
    first, *lines = text.splitlines()[:_MOST_LINES] or [""]
    word, _, operand = first.partition(" ")
    if word == "slurm":
        return slurm_words.waits_for(operand, lines)
    reasons: dict[str, Callable[[], str]] = {
        "gpu": lambda: _with_details("waits for a GPU", _gpu_details(lines)),
        "slot": lambda: _with_details("waits for a slot", _slot_details(lines)),
        "after": lambda: f"waits for {_after(operand)}",
        "retry": lambda: _retry(operand, attempt, now_cs),
        "lost": lambda: f"attempt {attempt + 1} begins soon: {attempt} was lost",
        "host": lambda: f"waits on its machine {operand[:_LONGEST]}: not this one",
        "disk": lambda: "waits for room on the disk",
        "format": lambda: "waits for a newer sandbox-ops to connect: one queued it",
    }
    return reasons.get(word, _its_turn)()


def waits_on(text: str) -> tuple[str, ...]:
    """Return the jobs that have what a job waits for, as the machine sent it."""
    first, *lines = text.splitlines()[:_MOST_LINES] or [""]
    word, _, operand = first.partition(" ")
    if word == "after":
        ids = [each.removesuffix(ANY_END) for each in operand.split(",")]
    else:
        holders = [line for line in lines if line.startswith("job ")]
        ids = [word for line in holders for word in line.split()]
    return tuple(dict.fromkeys(filter(job_ids.is_id, ids)))


def _its_turn() -> str:
    return "waits for its turn"


def _after(operand: str) -> str:
    jobs = [
        each for each in operand.split(",") if job_ids.is_id(each.removesuffix(ANY_END))
    ]
    return (
        " and ".join(
            f"the end of {each.removesuffix(ANY_END)}"
            if each.endswith(ANY_END)
            else f"{each} to succeed"
            for each in jobs
        )
        or "another job"
    )


def _retry(operand: str, attempt: int, now_cs: int) -> str:
    left_s = (int(operand) - now_cs) // 100 if operand.isdecimal() else 0
    if 0 < left_s <= 600:  # noqa: PLR2004 - no pause is longer
        return f"attempt {attempt} begins in {left_s} s"
    return f"attempt {attempt} waits for its turn"


def _with_details(what: str, details: Sequence[str]) -> str:
    return f"{what}: {'; '.join(details)}" if details else what


def _gpu_details(lines: Sequence[str]) -> list[str]:
    details = []
    for line in lines:
        word, *operands = line.split()[:8] or [""]
        if word in _GPU_LINES and operands:
            details.append(_GPU_LINES[word]([each[:_LONGEST] for each in operands]))
    return details


def _jobs(operands: Sequence[str]) -> str:
    return (
        " and ".join(word for word in operands if job_ids.is_id(word)) or "another job"
    )


def _has(operands: Sequence[str]) -> str:
    return f"{_jobs(operands)} {'have' if len(operands) > 1 else 'has'}"


_GPU_LINES: dict[str, Callable[[list[str]], str]] = {
    "job": lambda w: f"{_has(w[1:])} GPU {w[0]}",
    "process": lambda w: (
        f"GPU {w[0]} is held by pid {' '.join(w[1:])}, which is not of a job of ours"
    ),
    "memory": lambda w: f"{''.join(w[1:])} MiB of GPU {w[0]} are held",
    "busy": lambda w: f"GPU {w[0]} is {''.join(w[1:])} % busy",
    "free": lambda w: f"only {''.join(w[1:])} MiB of GPU {w[0]} are free",
    "few": lambda w: f"the machine has {w[0]}, {''.join(w[1:])} are wanted",
    "error": " ".join,
}


def _slot_details(lines: Sequence[str]) -> list[str]:
    most = next((line.split()[-1] for line in lines if line.startswith("limit ")), "")
    running = [line.split()[-1] for line in lines if line.startswith("job ")]
    if not most.isdecimal() or not running:
        return []
    shown = running[:3] + ([f"{len(running) - 3} more"] if len(running) > 3 else [])  # noqa: PLR2004
    return [f"{len(running)} of {most} are taken, by {', '.join(shown)}"]
