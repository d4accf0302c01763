"""What a machine cut for us shows no part of a secret that stood across the cut."""

import pytest

from sandbox_ops.machine import readings
from sandbox_ops.remote.frames import Segment

TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3zA5"
CUTS = range(5, len(TOKEN))


@pytest.mark.parametrize("cut", CUTS)
def test_a_digest_shows_no_part_of_a_secret_at_its_borders(cut: int) -> None:
    begun, rest = f"step 1 {TOKEN[:cut]}", f"{TOKEN[cut:]} loss 0.5\n"
    data = f"{begun}\x1e{rest}\x1e{rest}\x1e"
    segment = Segment(data.encode(), "digest", ("remote-1",))
    ((_, digest),) = readings.digests([segment])
    assert digest.tail == digest.notable == b" loss 0.5\n"
    assert TOKEN[:5].encode() not in digest.head


@pytest.mark.parametrize("cut", CUTS)
def test_what_the_driver_says_shows_no_part_of_a_secret_at_its_end(cut: int) -> None:
    first = "driver mismatch\n"
    said = f"{first}{'x' * (499 - len(first) - cut)} {TOKEN[:cut]}"
    status = readings.status([Segment(said.encode(), "no-gpu", ())])
    assert TOKEN[:5] not in status.gpu_error
    assert status.gpu_error.startswith("driver mismatch")
    whole = readings.status([Segment(b"driver mismatch", "no-gpu", ())])
    assert whole.gpu_error == "driver mismatch"
