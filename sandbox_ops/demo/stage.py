"""Where the scenes of the demo happen, and what ends them early."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from sandbox_ops.demo.screen import Screen
from sandbox_ops.errors import SandboxError
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Project


class DemoFailedError(SandboxError):
    """A scene did not end as it should; the hint holds the whole report."""


class Report(Protocol):
    """What every verb returns."""

    @property
    def ok(self) -> bool:
        """Whether it went well."""

    def as_json(self) -> dict[str, Any]:
        """Return all of it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where the scenes happen."""

    screen: Screen
    sandbox: Sandbox
    project: Project
    clone: Path


def must(verb: str, report: Report) -> None:
    """Go on only if a report is ok.

    Raises:
        DemoFailedError: it is not.
    """
    if not report.ok:
        fail(verb, report)


def fail(verb: str, report: Report) -> NoReturn:
    """End the story with a report.

    Raises:
        DemoFailedError: always.
    """
    report_json = json.dumps(report.as_json(), indent=2)
    raise DemoFailedError(f"`{verb}` did not end as it should", report_json)
