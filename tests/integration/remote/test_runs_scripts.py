"""Records and metrics of runs, read by every shell and its tools, without a connection."""

import json
import subprocess
import time
from pathlib import Path

import pytest
import records
from gitproject import GitProject
from scriptbox import SHELLS, ScriptBox, make_script_box

from sandbox_ops.machine import run_curves, run_records
from sandbox_ops.machine.run_records import Place, RunPage
from sandbox_ops.remote import scripts
from sandbox_ops.remote.frames import Frames
from sandbox_ops.text import curves

LOG = "".join(f"step {n}/9000 loss={1 / n:.6f}\nchatter\n" for n in range(1, 9001))
REDRAWN = "".join(f"\r{n}%|#| {n}/90 [00:01<00:02, 3it/s, loss={n}]" for n in range(90))


@pytest.fixture(params=SHELLS)
def box(
    request: pytest.FixtureRequest, tmp_path: Path, git_project: GitProject
) -> ScriptBox:
    return make_script_box(tmp_path, request.param, git_project)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    (folder / "live").mkdir(parents=True)
    for number in range(1, 6):
        job = records.write(folder, number, age_days=1, now=time.time())
        if number != 3:  # no training
            record = {"commit": f"c{number}", "settings": {"n": str(number)}}
            (job / "run.json").write_text(json.dumps(record, indent=2) + "\n")
    (folder / "last").write_text("5\n")
    return folder


def look(box: ScriptBox, base: Path, words: str) -> RunPage:
    """Ask the library's reader of runs, as a worker does."""
    library = base / "library.sh"
    library.write_text(scripts.library())
    text = f'BASE={base} JOBS={base}/jobs NONCE=n LIBRARY=x; machine_id; look_runs "{words}"'
    done = subprocess.run(
        [*box.shell, library, "eval", text],
        env={"PATH": box.path, "HOME": str(base)},
        capture_output=True,
        check=True,
        timeout=60,
    )
    return run_records.page(Frames("n").feed(done.stdout), str(base))


def test_every_shell_reads_the_same_records(box: ScriptBox, base: Path) -> None:
    page = look(box, base, "0 100 0 0")
    assert sorted(page.runs) == ["remote-1", "remote-2", "remote-4", "remote-5"]
    assert page.runs["remote-2"].record == {"commit": "c2", "settings": {"n": "2"}}
    assert page.runs["remote-2"].job.exit_code == 0
    assert (page.place.seen, page.newest) == (5, 5)
    assert look(box, base, "0 100 0 0").place.store == page.place.store


def test_a_look_goes_on_where_the_last_one_ended(box: ScriptBox, base: Path) -> None:
    page = look(box, base, "0 2 0 0")
    assert (sorted(page.runs), page.place.seen) == (["remote-1", "remote-2"], 2)
    later = look(box, base, "2 2 0 0 1")
    assert sorted(later.runs) == ["remote-1", "remote-4"]
    assert look(box, base, "5 2 0 0").runs == {}


def test_what_is_pruned_leaves_its_record_and_labels_come_from_a_place_on(
    box: ScriptBox, base: Path
) -> None:
    (base / "runs.labels").write_text("first\nsecond\n")
    (base / "keep").write_text("count=1\nnewest=1\n")
    for number in range(6, 40):
        records.write(base, number, age_days=0, now=time.time())
    (base / "last").write_text("39\n")
    library = base / "library.sh"
    library.write_text(scripts.library())
    (base / "claims").mkdir()
    (base / "tokens").mkdir()
    env = {"PATH": box.path, "HOME": str(base)}
    subprocess.run(
        [*box.shell, library, "prune", base], env=env, check=True, timeout=60
    )
    assert not (base / "jobs/remote-2").exists()
    page = look(box, base, "39 10 6 0")
    assert page.labels == ("second",)
    assert sorted(page.runs) == ["remote-1", "remote-2", "remote-4", "remote-5"]
    again = look(box, base, f"39 10 {page.place.labels} {page.place.pruned}")
    assert (again.labels, again.runs) == ((), {})
    smaller = Place(labels=10**6, pruned=10**6)  # the files were made smaller meanwhile
    whole = look(box, base, f"39 10 {smaller.labels} {smaller.pruned}")
    assert (whole.labels, len(whole.runs)) == (("first", "second"), 4)


@pytest.mark.parametrize(("lines", "few"), [(100_000, 9001), (500, 600)])
def test_every_shell_reads_the_whole_course_of_a_log_or_blocks_of_it(
    box: ScriptBox, base: Path, lines: int, few: int
) -> None:
    job = base / "jobs/remote-1"
    (job / "log").write_text(LOG)
    (base / "jobs/remote-2/log").write_text(REDRAWN)
    (base / "jobs/remote-4/log").write_text("loss=1\n")
    (base / "jobs/remote-4/metrics.jsonl").write_text('{"step": 7, "loss": 0.25}\n')
    (base / "jobs/cmd-1").mkdir()
    done = box.run(
        *("run_curves", str(lines), str(lines * 160), run_curves.PATTERN),
        *("remote-1", "remote-2", "remote-4", "remote-5", "remote-99"),
        before=f"SANDBOX_JOB={base}/jobs/cmd-1",
    )
    assert done.returncode == 0, done.stderr
    parts = run_curves.parts(done.stdout.encode())
    points = curves.read(parts["remote-1"].text).points["loss"]
    assert len(points) < few
    assert [points[0][0], points[-1][0]] == [1, 9000]
    assert parts["remote-1"].lines == 9000
    assert (parts["remote-1"].sampled > 0) is (lines == 500)
    redrawn = curves.read(parts["remote-2"].text).points["loss"]
    assert [y for _, y in redrawn] == list(range(90))
    assert parts["remote-4"].source == "metrics"
    assert curves.read(parts["remote-4"].text).points["loss"] == [(7, 0.25)]
    assert (parts["remote-5"].source, parts["remote-99"].source) == ("none", "none")


def test_blocks_of_a_long_log_have_what_is_said_every_other_line(
    box: ScriptBox, base: Path
) -> None:
    lines = (f"step {n} loss={n}\nstep {n} eval_loss={n}\n" for n in range(1, 9001))
    (base / "jobs/remote-1/log").write_text("".join(lines))
    (base / "jobs/cmd-1").mkdir()
    done = box.run(
        *("run_curves", "500", "80000", run_curves.PATTERN, "remote-1"),
        before=f"SANDBOX_JOB={base}/jobs/cmd-1",
    )
    points = curves.read(run_curves.parts(done.stdout.encode())["remote-1"].text).points
    assert len(points["eval_loss"]) == pytest.approx(len(points["loss"]), abs=2)
    assert len(points["loss"]) > 200
