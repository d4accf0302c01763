"""What a training is not started for, by the names that override it. Frozen values, no I/O."""

FORCE_NAMES = (
    "busy-gpu",
    "disk-low",
    "gpu-driver",
    "same-name",
    "same-output",
    "stale-code",
    "unpushed",
)
"""Every name that `train --force` and `remote_train` take."""
