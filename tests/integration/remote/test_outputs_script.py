"""The record of what a run wrote, by every shell and its tools, without a connection."""

import dataclasses
import hashlib
import subprocess
import time
from pathlib import Path

import pytest
from gitproject import GitProject
from guards import guard
from scriptbox import SHELLS, ScriptBox, make_script_box
from waiting import wait_until

from sandbox_ops.machine import run_outputs
from sandbox_ops.machine.run_outputs import RunOutputs
from sandbox_ops.remote import scripts


@pytest.fixture(params=SHELLS)
def box(
    request: pytest.FixtureRequest, tmp_path: Path, git_project: GitProject
) -> ScriptBox:
    return make_script_box(tmp_path, request.param, git_project)


def job_folder(tmp_path: Path, *patterns: str) -> tuple[Path, Path]:
    """Make a job's folder and a tree, with a file that is older than the run."""
    tree, job = tmp_path / "tree", tmp_path / "jobs/remote-7"
    (tree / "models").mkdir(parents=True)
    (tree / "models/old").write_text("old")
    made_at = (tree / "models/old").stat().st_ctime
    wait_until(lambda: time.time() > made_at + 2)  # some `find` count whole seconds
    run_dir = tree / "runs/remote-7"
    for folder in (job, run_dir):
        folder.mkdir(parents=True)
    lines = (str(tree), f"{tree}/runs", *patterns)
    (job / "outputs").write_text("".join(f"{line}\n" for line in lines))
    (job / "run_dir").write_text(f"{run_dir}\n")
    return job, tree


def collect(box: ScriptBox, job: Path) -> RunOutputs:
    library = job.parents[1] / "library.sh"
    library.write_text(scripts.library())
    subprocess.run(
        [*box.shell, library, "collect_outputs", job],
        env={"PATH": box.path, "HOME": str(job)},
        check=True,
        timeout=60,
    )
    return run_outputs.parse((job / "outputs.tsv").read_bytes())


def collector(box: ScriptBox, job: Path, name: str, *pauses: str) -> "Collector":
    """Start what makes the record; it stops after each of those lines until it may go on."""
    text = scripts.library()
    for number, line in enumerate(pauses):
        assert text.count(f"{line}\n") == 1, line
        here = job.parents[1] / f"{name}-{number}"
        pause = f"printf '' >{here}; until [ -e {here}-go ]; do sleep 0.02; done"
        text = text.replace(f"{line}\n", f"{line}\n{pause}\n")
    library = job.parents[1] / f"library-{name}.sh"
    library.write_text(text)
    return Collector(
        subprocess.Popen(
            [*box.shell, library, "collect_outputs", job],
            env={"PATH": box.path, "HOME": str(job)},
        ),
        job.parents[1] / name,
    )


@dataclasses.dataclass(frozen=True)
class Collector:
    """A process that makes the record, and where its pauses are seen."""

    process: "subprocess.Popen[bytes]"
    at: Path

    def reaches(self, pause: int) -> bool:
        """Wait until it stands at that pause; whether it does, or ended before."""
        there = Path(f"{self.at}-{pause}")
        wait_until(lambda: there.exists() or self.process.poll() is not None, 30)
        return there.exists()

    def goes_on(self, pause: int) -> None:
        Path(f"{self.at}-{pause}-go").touch()

    def ends(self) -> None:
        assert self.process.wait(30) == 0


def test_two_that_make_one_record_at_once_lose_none_of_its_files(
    box: ScriptBox, tmp_path: Path
) -> None:
    """As when a client asks for it before the one at the run's end has begun."""
    job, tree = job_folder(tmp_path, "models")
    for name in ("a", "b", "c"):
        (tree / f"models/{name}").write_text(name)
    checked = '  is_collecting "$dir" && exit 0'
    emptied = "  printf '' >\"$_new.sums\""
    first = collector(box, job, "first", checked, emptied)
    assert first.reaches(0)
    second = collector(box, job, "second", '  [ $# = 0 ] || sum_batch "$@"')
    assert second.reaches(0)
    first.goes_on(0)
    if first.reaches(1):  # it began again what the second is about to write
        second.goes_on(0)
        second.ends()
    files = run_outputs.parse((job / "outputs.tsv").read_bytes()).files
    assert [file.path for file in files] == ["models/a", "models/b", "models/c"]
    first.goes_on(1)
    second.goes_on(0)
    first.ends()
    second.ends()
    written = run_outputs.parse((job / "outputs.tsv").read_bytes())
    assert [bool(file.sha256) for file in written.files] == [True] * 3
    assert not [path.name for path in job.glob("outputs.new*")]


def test_every_shell_makes_the_same_record(box: ScriptBox, tmp_path: Path) -> None:
    job, tree = job_folder(tmp_path, "models", "out/{job}-{job}/*.csv")
    texts = {
        "models/a b.pt": "1",
        "models/-x é": "2",
        "models/trailing ": "3",
        "out/remote-7-remote-7/a.csv": "4",
        "runs/remote-7/[x].txt": "5",
    }
    others = {"models/two\nlines": "6", "out/remote-8-remote-8/a.csv": "7", "a": "8"}
    for name, text in {**texts, **others}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    written = collect(box, job)
    assert {file.path: file.sha256 for file in written.files} == {
        name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()
    }
    assert written.n_skipped == 1
    assert sorted(path.name for path in job.iterdir()) == [
        "begun", "outputs", "outputs.size", "outputs.tsv", "run_dir",
    ]  # fmt: skip


@guard(
    "a file that a run wrote becomes a pipe while its checksum is to be taken",
    "the record is made without that checksum; nothing waits for a writer",
)
@pytest.mark.slow
def test_a_file_that_became_a_pipe_holds_up_no_record(
    box: ScriptBox, tmp_path: Path
) -> None:
    job, tree = job_folder(tmp_path, "models")
    for name in ("a", "b", "c"):
        (tree / f"models/{name}").write_text(name)
    swapped, bin_folder = tree / "models/b", tmp_path / "swaps"
    bin_folder.mkdir()
    openssl = bin_folder / "openssl"  # looked for between the list and the checksums
    openssl.write_text(f"#!/bin/sh\nrm -f {swapped}; mkfifo {swapped}; exit 1\n")
    openssl.chmod(0o755)
    box = dataclasses.replace(box, path=f"{bin_folder}:{box.path}")
    written = collect(box, job)
    assert swapped.is_fifo(), "nothing was swapped"
    assert {file.path: bool(file.sha256) for file in written.files} == {
        "models/a": True,
        "models/b": False,
        "models/c": True,
    }


def test_more_files_than_one_batch(box: ScriptBox, tmp_path: Path) -> None:
    job, tree = job_folder(tmp_path, "models")
    for number in range(250):
        (tree / f"models/{number:03}").write_text(str(number))
    written = collect(box, job)
    assert len(written.files) == 250
    assert {file.sha256 for file in written.files} == {
        hashlib.sha256(str(number).encode()).hexdigest() for number in range(250)
    }
