"""How far a job is, from the digest of what it wrote. Pure."""

import functools

from sandbox_ops.models import Job, LogDigest, Project
from sandbox_ops.text import progress
from sandbox_ops.text.progress import Progress


def read(job: Job, digest: LogDigest, project: Project | None = None) -> Progress:
    """Return what a job's digest says; `project` may have patterns of its own."""
    source = progress.Source(
        head=text(digest.head),
        notable=text(digest.notable),
        metrics_file=text(digest.metrics_file),
        command=job.command,
        metric_patterns=project.train_metrics if project else (),
        progress_patterns=project.train_progress if project else (),
    )
    return _read(text(digest.tail), job.elapsed_s, source)


_read = functools.lru_cache(maxsize=128)(progress.read)
"""Cached: a watcher reads the same end of a job that ended again and again."""


def text(data: bytes) -> str:
    """Return bytes of a log as text; what is no UTF-8 stays visible."""
    return data.decode("utf-8", "backslashreplace")
