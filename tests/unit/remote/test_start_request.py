"""What a start may ask for."""

import pytest

from sandbox_ops.errors import UsageError
from sandbox_ops.remote.start_request import LONGEST_TIMEOUT_S, StartRequest


def test_the_longest_timeout_is_accepted_and_a_longer_one_refused_by_name() -> None:
    longest = StartRequest(command="true", timeout_s=LONGEST_TIMEOUT_S)
    assert f"timeout_cs={LONGEST_TIMEOUT_S * 100}" in longest.words()
    for timeout_s in (1e18, float("inf"), float("nan")):
        with pytest.raises(UsageError, match=f"at most {LONGEST_TIMEOUT_S} s"):
            StartRequest(command="true", timeout_s=timeout_s)
