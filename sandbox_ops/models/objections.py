"""What a training is not started for, by the names that override it. Frozen values, no I/O."""

FORCE_NAMES = (
    "busy-gpu",
    "disk-low",
    "gpu-driver",
    "same-name",
    "stale-code",
    "unpushed",
)
"""Every name that `train --force` and `remote_train` take."""
