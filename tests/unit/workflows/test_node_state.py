"""What the launcher of a node wrote down, read from bytes that any program may have written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.workflows.node_state import NodeState, parse


def test_a_refused_start_says_which_machines_do_not_reach_each_other() -> None:
    problem = {"from": "a", "to": "b", "address": "10.0.0.2:80", "why": "timed out"}
    state = parse(json.dumps({"phase": "refused", "problems": [problem]}).encode())
    assert state.is_decided
    assert state.problems == (
        "a cannot open a connection to b (10.0.0.2:80): timed out",
    )


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{", b"\xff", b'{"port": "x", "addresses": 3, "problems": [7]}'],
)
def test_what_is_no_state_is_read_as_none(text: bytes) -> None:
    assert parse(text) == NodeState()


@given(st.binary(max_size=300))
def test_any_bytes_are_read(text: bytes) -> None:
    assert isinstance(parse(text), NodeState)
