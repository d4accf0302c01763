"""A cell of a sweep over several machines, who got it, and how it was there. Frozen values."""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox_ops.models import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedCell:
    """One cell of the sweep, with its whole command.

    Attributes:
        number: From 1, on every machine the same where it is free there.
        identity: As in `CellKey`.
        name: Of its job.
    """

    number: int
    identity: str
    name: str
    command: str
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOut:
    """That a machine was to start a cell.

    Attributes:
        machine: Its name.
        starts: How often the cell was started there before.
        at: When it was handed out, in seconds since 1970.
    """

    machine: str
    starts: int
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """How the newest job of a cell on a machine was, when that was last asked."""

    machine: str
    job: str
    state: JobState
