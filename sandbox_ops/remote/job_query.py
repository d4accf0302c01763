"""What is asked about one job: its state, and perhaps ranges of what it wrote. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """One job of a status request.

    Attributes:
        job: Its id, or how the machine resolves it (`JobReference.wire`).
        log: Where to begin in its log (negative: from the end), and how many bytes.
        stderr: The same of a command's stderr.
        with_record: Also what only its record holds: command, name, directory.
        with_sizes: Also the sizes of the streams, and which files they are.
    """

    job: str
    log: tuple[int, int] = (0, 0)
    stderr: tuple[int, int] = (0, 0)
    with_record: bool = False
    with_sizes: bool = False

    def words(self) -> tuple[str, ...]:
        """Return it as `emit_job` in scripts/lib/look.sh reads it."""
        mode = "j" * self.with_record + "s" * self.with_sizes
        return (self.job, mode, *map(str, (*self.log, *self.stderr)))
