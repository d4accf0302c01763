"""A run over several machines in words, for every face. Pure."""

from collections.abc import Iterator

from sandbox_ops.models.nodes import log_prefix
from sandbox_ops.text import formatting
from sandbox_ops.workflows.nodes import NodesReport

_FIRST_LINES = 5


def lines(report: NodesReport) -> Iterator[str]:
    """Say what was started on each machine, or would be, and what each wrote first."""
    if not report.nodes:
        yield f"{report.name} would be started: {report.command}"
        for rank, name in enumerate(report.machines):
            needs = report.did.get(name, ())
            first = f" ({' and '.join(needs)} first)" if needs else ""
            yield f"rank {rank} on {name}{first}"
        return
    yield (
        f"started {report.name} on {len(report.nodes)} machines;"
        f" MASTER_ADDR:MASTER_PORT is {report.master}"
    )
    for node in report.nodes:
        yield f"rank {node.rank} on {node.sandbox}: {formatting.job_line(node.job)}"
    for node in report.nodes:
        for line in node.first_lines[-_FIRST_LINES:]:
            yield log_prefix(node.rank, node.sandbox) + line
