"""A group: jobs that were started as one (a sweep). Frozen values, no I/O."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox_ops.models import job_ids
from sandbox_ops.models.hardware import LogDigest
from sandbox_ops.models.jobs import Job, JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class CellKey:
    """A job's place in a group.

    Attributes:
        group: The group's name.
        number: Of the cell, from 1; 0: what runs when all others have ended.
        identity: What the cell is: a digest of its command and settings.
        commit: Of the code that it runs; "" if there is none.
    """

    group: str
    number: int
    identity: str
    commit: str = ""

    @property
    def word(self) -> str:
        """The cell as references name it: `3` of `t1/3`."""
        return str(self.number) if self.number else job_ids.THEN

    @property
    def variables(self) -> dict[str, str]:
        """What its job gets in variables."""
        return {"SANDBOX_GROUP": self.group, "SANDBOX_CELL": self.word}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A cell of a group, with the newest job that was started for it.

    Attributes:
        number: From 1; 0: what runs when all others have ended.
        identity: As in `CellKey`.
        commit: As in `CellKey`.
        digest: Of its log; None where it was not asked for.
        record: Its run record; empty where it was not asked for.
    """

    number: int
    identity: str
    job: Job
    commit: str = ""
    digest: LogDigest | None = None
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group as it is on a machine.

    Attributes:
        members: The cells that have a job, in their order.
        then: What runs when all others have ended; None where there is nothing.
        numbers: The number of every cell that was ever started, by its identity.
        starts: How often a cell was started, by its identity.
    """

    name: str
    members: tuple[Member, ...] = ()
    then: Member | None = None
    numbers: Mapping[str, int] = field(default_factory=dict)
    starts: Mapping[str, int] = field(default_factory=dict)

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The newest job of each cell, then what runs after them."""
        last = (self.then.job,) if self.then else ()
        return (*(member.job for member in self.members), *last)

    @property
    def ended(self) -> bool:
        """Whether every cell has ended."""
        return all(member.job.state.ended for member in self.members)

    def counts(self) -> dict[str, int]:
        """Return how many cells are in each state, in the order of a job's life."""
        states = Counter(member.job.state for member in self.members)
        return {str(state): states[state] for state in JobState if states[state]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best value that a metric has in a group, and whose it is.

    Attributes:
        way: Which is better: "min" or "max".
    """

    metric: str
    value: float
    job: str
    name: str
    way: Literal["min", "max"] = "min"

    def as_json(self) -> dict[str, Any]:
        """The value as `--json` shows it."""
        return {
            "metric": self.metric,
            "value": self.value,
            "job": self.job,
            "name": self.name,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """A group in one row.

    Attributes:
        counts: How many of its cells are in each state.
        eta_s: Until all have ended, in seconds; None where that is not known.
        best: None where no cell says the metric.
        then: What runs when all have ended; None where there is nothing.
    """

    name: str
    counts: Mapping[str, int]
    eta_s: float | None = None
    best: Best | None = None
    then: Job | None = None

    @property
    def n_cells(self) -> int:
        """How many cells it has."""
        return sum(self.counts.values())

    def as_json(self) -> dict[str, Any]:
        """The row as `--json` shows it."""
        return {
            "group": self.name,
            "cells": self.n_cells,
            "counts": dict(self.counts),
            "eta_s": self.eta_s,
            "best": self.best.as_json() if self.best else None,
            "then": self.then.as_json() if self.then else None,
        }
