"""The verbs for `inv`, in this repository: the same as `sandbox-ops VERB`."""

from sandbox_ops.tasks import ns

__all__ = ["ns"]
