"""What becomes of a command that torchrun is to run."""

import pytest

from sandbox_ops.errors import UsageError
from sandbox_ops.workflows import torchrun

RUN = "-m torch.distributed.run"


@pytest.mark.parametrize(
    ("line", "run_by_torchrun"),
    [
        ("train.py --lr 1e-3", "torchrun train.py --lr 1e-3"),
        ("-m package.train", "torchrun -m package.train"),
        ("--max-restarts 2 train.py", "torchrun --max-restarts 2 train.py"),
        ("python train.py --lr 1", f"python {RUN} train.py --lr 1"),
        ("python3.11 -u train.py", f"python3.11 -u {RUN} train.py"),
        ("python -m package.train", f"python {RUN} -m package.train"),
        ("/opt/x/bin/python a.py", f"/opt/x/bin/python {RUN} a.py"),
        ("uv run python a.py", f"uv run python {RUN} a.py"),
        ("uv run train.py", "uv run torchrun train.py"),
        ("A=1 B='2' python a.py", f"A=1 B='2' python {RUN} a.py"),
        ("exec env A=1 python a.py", f"exec env A=1 python {RUN} a.py"),
        ("a.py --with python", "torchrun a.py --with python"),
        ("a.py 2>&1", "torchrun a.py 2>&1"),
        ("a.py --text 'a; b'", "torchrun a.py --text 'a; b'"),
    ],
)
def test_the_program_of_a_command_is_run_by_torchrun(
    line: str, run_by_torchrun: str
) -> None:
    assert torchrun.command(line) == run_by_torchrun


@pytest.mark.parametrize(
    "line",
    [
        "torchrun --nproc_per_node 2 a.py",
        "cd src && torchrun a.py",
        "python -m torch.distributed.run a.py",
        "/opt/x/bin/torchrun a.py",
    ],
)
def test_a_command_that_calls_torchrun_stays_as_it_is(line: str) -> None:
    assert torchrun.command(line, "--standalone ") == line


@pytest.mark.parametrize("line", ["cd src && a.py", "a.py; b.py", "a | b", "a\nb"])
def test_a_line_of_several_commands_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match="line of several"):
        torchrun.command(line)


def test_on_one_machine_it_has_a_process_for_each_gpu_and_a_port_of_its_own() -> None:
    assert torchrun.command("a.py", torchrun.alone(4)) == (
        "torchrun --standalone --nproc_per_node=4 a.py"
    )
    assert torchrun.alone(0) == torchrun.alone(None)
    assert torchrun.alone(None).endswith("=1 ")
