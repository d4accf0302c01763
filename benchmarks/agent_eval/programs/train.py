"""Stands for a training of hours. A high learning rate diverges, and goes on for ever."""

import argparse
import os
import pathlib
import subprocess
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, required=True)
parser.add_argument("--steps", type=int, default=160)
options = parser.parse_args()

truth = pathlib.Path(os.environ["EVAL_TRUTH"]) / f"train-{options.lr:g}"
with open(f"{truth}.runs", "a") as runs:
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True)
    runs.write(commit)
diverges = options.lr > 1
step = 0
while step < options.steps or diverges:
    step += 1
    loss = float("nan") if diverges and step > 30 else 2 / (1 + step)
    print(f"step {step}/{options.steps} loss={loss:.4f}", flush=True)
    time.sleep(0.04)
models = pathlib.Path("models")
models.mkdir(exist_ok=True)
path = models / f"policy-{options.lr:g}.bin"
path.write_bytes(os.urandom(2_000_000))
pathlib.Path(f"{truth}.code").write_text("0")
print("saved", path, flush=True)
