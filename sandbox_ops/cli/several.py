"""A run over several machines by its one name: a verb on it is the verb on each of them.

Only this clone knows which machines those are, and which job it is on each; from elsewhere
`--on` says it, and the job's name is the same on all.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sandbox_ops.cli import aiming, fabric_context, session

if TYPE_CHECKING:
    from sandbox_ops.workflows.nodes_list import NodesEntry


def meant(context: Any, options: Mapping[str, Any]) -> "NodesEntry | None":  # noqa: ANN401 - Invoke's or Fabric's
    """Return the run that the options of a verb name; None where it is a machine's own."""
    name = _name(options)
    if not name or options.get("sandbox") or fabric_context.host_of(context):
        return None
    from sandbox_ops.workflows import nodes_list

    return nodes_list.named(session.settings_here().project, name)


def _name(options: Mapping[str, Any]) -> str:
    """Return the name by which one job is asked for; "" where it is an id or a number."""
    from sandbox_ops.models import job_ids

    names = aiming.jobs_named(options)
    if len(names) != 1 or not names[0].strip():
        return ""
    return names[0] if job_ids.reference(names[0]).may_be_group else ""
