"""Which machines a call is about, and which of its jobs each of them has. Pure.

Every face takes the same words: one machine by its name, several by `on`, and a job with
its machine before a colon, `gpu1:remote-3`.
"""

from collections.abc import Mapping, Sequence

from sandbox_ops.config.configuration import Config, default_name
from sandbox_ops.errors import UsageError
from sandbox_ops.models import job_ids


def targets(
    config: Config, *, sandbox: str = "", on: str = "", jobs: Sequence[str] = ()
) -> Mapping[str, tuple[str, ...]]:
    """Return the machines that are meant, in their order, each with the jobs asked for there.

    Args:
        config: Which machines there are.
        sandbox: The one that was named; "": the default one.
        on: Several, as `Config.names` reads them; "": not several.
        jobs: What names the jobs.

    Returns:
        "" stands for the default machine.

    Raises:
        ConfigError: One is not described.
        UsageError: The words do not go together; says which.
    """
    read = [job_ids.on_machine(job, config.sandboxes) for job in jobs]
    for text, (machine, _) in zip(jobs, read, strict=True):
        if machine and on:
            raise UsageError(
                f"{text} names its machine, and `on` names several", "leave out one"
            )
        if machine and sandbox not in ("", machine):
            raise UsageError(
                f"{text} is a job of {machine}, and `sandbox` is {sandbox}",
                "leave out one",
            )
    if on and sandbox:
        raise UsageError("`sandbox` names one machine, `on` several", "leave out one")
    if on:
        return dict.fromkeys(config.names(on), tuple(jobs))
    several = len({machine for machine, _ in read}) > 1
    default = default_name(config.default, config.sandboxes) if several else ""
    by_machine: dict[str, tuple[str, ...]] = {}
    for machine, job in read:
        at = machine or sandbox or default
        by_machine[at] = (*by_machine.get(at, ()), job)
    return by_machine or {sandbox: ()}
