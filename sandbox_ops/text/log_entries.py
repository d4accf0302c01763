"""What each line of a log says of a training: steps, epochs, metrics. Pure."""

from collections.abc import Iterator
from dataclasses import replace

from sandbox_ops.text import log_formats, log_numbers, metrics_file
from sandbox_ops.text import metrics as metric_lines
from sandbox_ops.text.metrics_file import Entry


def entries(text: str) -> Iterator[Entry]:
    """Yield what the lines say, in their order; those that say nothing too."""
    columns: tuple[str, ...] = ()
    for line in log_numbers.lines(text):
        if entry := metrics_file.entry_of(line):
            yield entry
            continue
        step, epoch = log_formats.step_count(line), log_formats.outer_count(line)
        before, after = (
            log_formats.around_bar(line) if step and step.bar else (line, "")
        )
        if epoch and step and step.bar:
            counts_from_0 = epoch.total is None or step.format == "lightning"
            epoch = replace(epoch, from_zero=counts_from_0)
        if names := metric_lines.column_names(before):
            columns = names
            continue
        if metrics := metric_lines.in_columns(columns, before):
            step = step if step and step.bar else None
            epoch = log_formats.row_count(columns, before)
        else:
            metrics = metric_lines.in_line(
                f"{before}: {after}" if after else before,
                is_training=bool(step or epoch),
            )
        yield Entry(step, epoch, metrics)
