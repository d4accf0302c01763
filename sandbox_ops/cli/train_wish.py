"""What was asked of `train`, as its options were read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox_ops.cli import setting_values
from sandbox_ops.models.nodes import NodeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for.

    Attributes:
        settings: As they were read from the line.
        options: Those of `workflows.train.train`.
        is_sweep: Whether it is more than one training.
        sweep_options: Those that only a sweep has.
        nodes: How it goes over several nodes.
    """

    settings: Mapping[str, setting_values.Values]
    options: Mapping[str, Any]
    is_sweep: bool
    sweep_options: Mapping[str, Any]
    dry_run: bool
    watch: bool
    notify: bool
    as_json: bool
    nodes: NodeOptions = field(default_factory=NodeOptions)
