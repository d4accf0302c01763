"""The project that the demo trains: a real training, in small."""

import json
import signal
import subprocess
import sys
from importlib import resources
from pathlib import Path

from sandbox_ops.demo import curve

TRAIN = str(resources.files("sandbox_ops.demo") / "project" / "train.py")


def train(out: Path, *arguments: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, TRAIN, "--out", str(out), *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_loss_falls(tmp_path: Path) -> None:
    output = train(tmp_path, "--steps", "40")
    assert output[0].startswith("step 1/40 loss 3.")
    assert output[-1] == "done"
    losses = curve.read(tmp_path / "results" / "metrics.csv").losses
    assert len(losses) == 40
    assert losses[0] > 3.0
    assert sum(losses[-5:]) / 5 < 2.75


def test_every_line_has_step_loss_and_rate(tmp_path: Path) -> None:
    first = train(tmp_path, "--steps", "1")[0].split()
    assert first[::2] == ["step", "loss", "lr"]
    assert float(first[3]) > float(first[5]) > 0


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    models = []
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        train(tmp_path / name, "--steps", "3", "--seed", seed)
        models.append((tmp_path / name / "models" / "model.json").read_bytes())
    assert models[0] == models[1]
    assert models[0] != models[2]


def test_all_it_writes_is_three_files(tmp_path: Path) -> None:
    train(tmp_path, "--steps", "2")
    written = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"metrics.csv", "summary.json", "model.json"}


def test_sigterm_saves_and_exits_143(tmp_path: Path) -> None:
    items = [sys.executable, TRAIN, "--steps", "1000000", "--out", str(tmp_path)]
    with subprocess.Popen(items, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = [process.stdout.readline()]
        process.send_signal(signal.SIGTERM)
        output += process.stdout.read().splitlines()
        assert process.wait(10) == 143
    assert output[0].startswith("step 1/1000000")
    assert output[-1] == "saved"
    summary = json.loads((tmp_path / "results" / "summary.json").read_text("utf-8"))
    assert summary["stopped"] is True
    assert summary["steps"] == int(output[-2].split()[1].partition("/")[0])
    assert (tmp_path / "models" / "model.json").stat().st_size > 10000
