"""Train a small language model: which character comes next?

Pure Python, one hidden layer, plain gradient descent. The text is what `help()` knows
of Python's syntax: it comes with the interpreter, so there is nothing to download.

Prints `step I/N loss X lr Y`; writes results/metrics.csv, results/summary.json and
models/model.json below --out. SIGTERM saves what has been learned and exits 143.
"""
# ruff: noqa: INP001, S311, T201 - a script that prints, with random numbers, no secrets

import argparse
import json
import math
import random
import re
import signal
import time
from operator import mul
from pathlib import Path
from pydoc_data.topics import topics

ALPHABET = " abcdefghijklmnopqrstuvwxyz.,"
CONTEXT = 3  # characters that the model sees
HIDDEN = 32
CHARACTERS_A_STEP = 100

Rows = list[list[float]]


class Model:
    """Three tables (one a place in the context), tanh, and a layer of outputs."""

    def __init__(self, chance: random.Random) -> None:
        size = len(ALPHABET)

        def rows(count: int, length: int, spread: float) -> Rows:
            return [
                [chance.gauss(0, spread) for _ in range(length)] for _ in range(count)
            ]

        self.tables = [rows(size, HIDDEN, 0.3) for _ in range(CONTEXT)]
        self.outputs = rows(size, HIDDEN, 0.1)
        self.biases = [0.0] * size

    def think(self, context: list[int]) -> tuple[list[float], list[float]]:
        """Return the hidden layer and the probability of each next character."""
        seen = (
            table[character]
            for table, character in zip(self.tables, context, strict=True)
        )
        hidden = [math.tanh(sum(parts)) for parts in zip(*seen, strict=True)]
        scores = [
            sum(map(mul, row, hidden)) + bias
            for row, bias in zip(self.outputs, self.biases, strict=True)
        ]
        top = max(scores)
        odds = [math.exp(score - top) for score in scores]
        total = sum(odds)
        return hidden, [odd / total for odd in odds]

    def learn(self, context: list[int], target: int, rate: float) -> float:
        """Take one step down the gradient; return the loss before it, in nats."""
        hidden, errors = self.think(context)
        loss = -math.log(errors[target])
        errors[target] -= 1
        blame = [
            sum(map(mul, column, errors)) * (1 - value * value) * rate
            for column, value in zip(
                zip(*self.outputs, strict=True), hidden, strict=True
            )
        ]
        for index, error in enumerate(errors):
            step = rate * error
            row = zip(self.outputs[index], hidden, strict=True)
            self.outputs[index] = [weight - step * value for weight, value in row]
            self.biases[index] -= step
        for table, character in zip(self.tables, context, strict=True):
            row = zip(table[character], blame, strict=True)
            table[character] = [weight - step for weight, step in row]
        return loss

    def write(self, length: int, chance: random.Random) -> str:
        """Return text as the model would write it."""
        written = [0] * CONTEXT
        for _ in range(length):
            odds = self.think(written[-CONTEXT:])[1]
            written += chance.choices(range(len(odds)), odds)
        return "".join(ALPHABET[index] for index in written).strip()


def read_text() -> list[int]:
    """Return the text as positions in the alphabet."""
    text = " ".join(topics[key] for key in sorted(topics)).lower()
    text = re.sub(f"[^{ALPHABET}]+", " ", text)
    return [ALPHABET.index(character) for character in re.sub(" +", " ", text)]


def save(path: Path, content: str) -> None:
    """Write beside, then rename: a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    beside.write_text(content, "utf-8")
    beside.replace(path)


class Run:
    """A training: the model, the text, and what has been measured so far."""

    def __init__(self, steps: int, seed: int, out: Path) -> None:
        self.steps, self.seed, self.out = steps, seed, out
        self.chance = random.Random(seed)
        self.model = Model(self.chance)
        self.text = read_text()
        self.metrics: list[tuple[int, float, float]] = []
        self.started = time.monotonic()
        self.stopped = False

    def step(self, number: int) -> tuple[float, float]:
        """Learn from some characters; return their mean loss and the learning rate."""
        rate = 0.02 + 0.1 * (1 + math.cos(math.pi * number / self.steps)) / 2
        places = range(len(self.text) - CONTEXT)
        losses = [
            self.model.learn(
                self.text[place : place + CONTEXT], self.text[place + CONTEXT], rate
            )
            for place in self.chance.choices(places, k=CHARACTERS_A_STEP)
        ]
        return sum(losses) / len(losses), rate

    def train(self) -> int:
        """Take all steps, or as many as there is time for; return the exit code."""
        every = max(1, self.steps // 60)
        since: list[float] = []
        for number in range(1, self.steps + 1):
            loss, rate = self.step(number)
            since.append(loss)
            if number % every == 0 or number in (1, self.steps) or self.stopped:
                loss = sum(since) / len(since)
                since.clear()
                self.metrics.append((number, loss, rate))
                print(
                    f"step {number}/{self.steps} loss {loss:.4f} lr {rate:.4f}",
                    flush=True,
                )
            if self.stopped:
                break
        self.save()
        return 143 if self.stopped else 0

    def save(self) -> None:
        """Write metrics, summary and model."""
        lines = [f"{step},{loss:.6f},{rate:.6f}\n" for step, loss, rate in self.metrics]
        save(self.out / "results" / "metrics.csv", "step,loss,lr\n" + "".join(lines))
        model = {"alphabet": ALPHABET, **vars(self.model)}
        save(self.out / "models" / "model.json", json.dumps(model))
        summary = {
            "steps": self.metrics[-1][0],
            "loss": round(self.metrics[-1][1], 6),
            "seed": self.seed,
            "seconds": round(time.monotonic() - self.started, 1),
            "stopped": self.stopped,
            "sample": self.model.write(160, random.Random(self.seed)),
        }
        save(
            self.out / "results" / "summary.json", json.dumps(summary, indent=2) + "\n"
        )
        print("saved" if self.stopped else "done", flush=True)


def main() -> int:
    """Read the arguments, train, say how it ended."""
    parser = argparse.ArgumentParser(description="Train a character model.")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path())
    arguments = parser.parse_args()
    run = Run(arguments.steps, arguments.seed, arguments.out)
    signal.signal(signal.SIGTERM, lambda *_: setattr(run, "stopped", True))
    return run.train()


if __name__ == "__main__":
    raise SystemExit(main())
