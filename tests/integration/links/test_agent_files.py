"""The process that keeps connections, where it cannot be started."""

import gc
from pathlib import Path

import pytest

from sandbox_ops.links.agent_files import AgentPlace, UnusableError, reach_or_start


def test_a_keeper_that_ends_before_it_read_its_message_is_said_and_leaves_no_warning(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "kept"
    message = "x" * (1 << 20)  # more than a pipe holds
    where = AgentPlace(folder=folder, name="a", program=("true",), message=message)
    with pytest.raises(UnusableError, match="Broken pipe"):
        reach_or_start(where)
    gc.collect()  # a process that nobody waits for would be warned of here
