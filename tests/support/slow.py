"""What `make test` leaves to `make test-slow`: further rows of what one row proves."""

import pytest
from _pytest.mark import ParameterSet


def slow(*values: object) -> list[ParameterSet]:
    """Return values of a parameter, each marked as slow."""
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]
