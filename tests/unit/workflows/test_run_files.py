"""Which files a run is going to write, so far as can be seen before it starts."""

import pytest

from sandbox_ops.machine import run_outputs
from sandbox_ops.models import Project
from sandbox_ops.workflows import outputs, run_files

SUM = "a" * 64


@pytest.mark.parametrize(
    ("command", "paths"),
    [
        ("python t.py --save-path models/a.pt", ["models/a.pt"]),
        ("python t.py --save-path=models/a.pt", ["models/a.pt"]),
        ("python t.py out=./models/a.pt lr=3", ["models/a.pt"]),
        ("python t.py /w/p/models/a.pt", ["models/a.pt"]),
        ("python t.py --out models", ["models"]),
        ("python t.py --resume models/a.pt --out models/b.pt", ["models/b.pt"]),
        ("python t.py --init-from=models/a.pt", []),
        ("python t.py --out elsewhere/a.pt ../models/a.pt /models/a.pt", []),
        ('python t.py --out models/"${SANDBOX_JOB_ID}".pt', []),
        ("python t.py --out models/$(date +%s).pt", []),
        ("python t.py 'unfinished", []),
    ],
)
def test_a_declared_path_that_the_command_names_is_written(
    command: str, paths: list[str]
) -> None:
    seen = run_files.written(command, "/w/p", ("models", "x/*.csv"))
    assert seen == tuple(f"/w/p/{path}" for path in paths)


def test_a_declared_output_that_is_one_file_is_written_by_every_run() -> None:
    patterns = ("model.pt", "models", "out/{job}.pt", "x/*.csv")
    assert run_files.written("python t.py", "/w/p", patterns) == ("/w/p/model.pt",)


def test_the_holes_of_outputs_are_those_of_the_run() -> None:
    project = Project(
        outputs=("out/{job}/{lr}", "{run_dir}", "m/{seed}.pt", "{name}.txt", "{x}/y")
    )
    declared = run_files.declared(project, "t --seed 4", {"lr": "1e-3"}, "")
    assert declared == (
        "out/{job}/1e-3", "runs/{job}", "m/4.pt", "{job}.txt", "*/y",
    )  # fmt: skip
    assert outputs.patterns(project)[:2] == ("out/*/*", "runs/*")


@pytest.mark.parametrize("value", ["../..", "a\nb", ""])
def test_a_setting_leads_no_output_out_of_the_project(value: str) -> None:
    project = Project(outputs=("out/{lr}",))
    assert run_files.declared(project, "", {"lr": value}, "") == ("out/*",)


def test_the_record_of_what_a_run_wrote_is_read() -> None:
    text = (
        f"{SUM}\t5\t1764115200\tmodels/a b.pt\n"
        "-\t7\t1764115201\truns/remote-3-2/x\n"
        "#\tlimit\t2\t12\t1\t/w/own\t/w/p/runs/remote-3-2\n"
    )
    written = run_outputs.parse(text.encode())
    assert [(file.path, file.remote) for file in written.files] == [
        ("models/a b.pt", "/w/own/models/a b.pt"),
        ("runs/remote-3-2/x", "/w/p/runs/remote-3-2/x"),
    ]
    assert (written.n_skipped, written.n_without_sum, written.size_bytes) == (1, 1, 12)
    assert run_outputs.run_folder("/h/jobs/remote-3/run") == "remote-3"
