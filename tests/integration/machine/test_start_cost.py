"""What a command starts on the machine besides itself. Counted, not timed."""

import itertools
from pathlib import Path

from containers import start_container

from sandbox_ops import Sandbox

_LAST_PID = "read -r _ _ _ _ last </proc/loadavg; echo $last"


def test_a_warm_command_takes_four_processes_its_own_among_them(tmp_path: Path) -> None:
    """A folder for it, its supervisor, itself, and who reads what it said.

    Counted by the last number that the kernel gave, in a pid namespace where nobody else
    is. The least of some: a clock looks now and then what has become of a command.
    """
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("3b8a7c3e-0000-4000-8000-000000000001\n")
    with (
        start_container(tmp_path / "machine", boot_id) as server,
        Sandbox(server.config()) as sandbox,
    ):
        numbers = [int(sandbox.run(_LAST_PID).stdout.text) for _ in range(30)]
    taken = [after - before for before, after in itertools.pairwise(numbers)]
    assert min(taken) == 4
