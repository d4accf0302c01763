"""Reading how far a training is from its log."""

import json
import math
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox_ops.text import progress

TQDM = (
    "\r  0%|          | 0/1000 [00:00<?, ?it/s]"
    "\r 42%|####2     | 420/1000 [00:10<00:14, 41.3it/s, loss=0.3]"
)


@pytest.mark.parametrize(
    ("text", "step", "total"),
    [
        ("step 120/5000", 120, 5000),
        ("Step: 120 / 5000", 120, 5000),
        ("[train] iter [7/9]", 7, 9),
        ("steps 3 of 8", 3, 8),
        ("batch=10/20", 10, 20),
        ('{"step": 120, "loss": 0.5}', 120, None),
        ("global_step=15 loss=1", 15, None),
        ("epoch 3/10", 3, 10),
        ("Epoch 3/10 step 120/5000", 120, 5000),
        ("step 1/10\nstep 2/10\nepoch 1/3", 2, 10),
        ("step 5/10\nstep 6 saved", 6, 10),
        (TQDM, 420, 1000),
        ("Epoch 1:  9%|▉  | 9/100 [0:01:00<0:10:00, 6.6s/it, v_num=0]", 9, 100),
        ("Epoch 0/9 ━━━━ 420/1000 0:00:10 • 0:00:14 41.30it/s v_num: 0.000", 420, 1000),
        ("misstep 1/2 a.step 3/4 --num-steps 5000", None, None),
        ("2026-11-22 12:30:45 starting", None, None),
        ("", None, None),
    ],
)
def test_the_last_step_is_found(text: str, step: int | None, total: int | None) -> None:
    found = progress.read(text)
    assert (found.step, found.total) == (step, total)


@pytest.mark.parametrize(
    ("text", "metrics"),
    [
        ("step 1/2 loss=0.5", {"loss": 0.5}),
        ("loss: 2.31, lr: 3e-4", {"loss": 2.31, "lr": 3e-4}),
        (
            "step 20/200 loss 3.12 lr 0.003 tok/s 8123 ",
            {"loss": 3.12, "lr": 0.003, "tok/s": 8123.0},
        ),
        (
            "{'loss': 0.4, 'learning_rate': 5e-05, 'epoch': 0.1}",
            {"loss": 0.4, "learning_rate": 5e-05},
        ),
        ("{'loss': '0.4', 'grad_norm': '1'}", {"loss": 0.4, "grad_norm": 1.0}),
        ('{"step": 3, "loss": -1.5}', {"loss": -1.5}),
        ("step 1: train/loss=1 val_loss=2.", {"train/loss": 1.0, "val_loss": 2.0}),
        ("loss=3\nloss=2", {"loss": 2.0}),
        (TQDM, {"loss": 0.3}),
        ("listening on port: 8080, seed=1", {}),
        ("version: 1.2.3 of lossless", {}),
        ("loss2: 7", {}),
    ],
)
def test_the_last_metrics_are_found(text: str, metrics: dict[str, float]) -> None:
    assert progress.read(text).metrics == metrics


def test_rate_and_remaining_time_are_what_the_bar_says() -> None:
    found = progress.read(TQDM)
    assert (found.rate_per_s, found.eta_s) == (41.3, 14.0)


def test_seconds_a_step_are_a_rate_too() -> None:
    found = progress.read("step 10/20, 2.0s/it")
    assert (found.rate_per_s, found.eta_s) == (0.5, 20.0)


def test_stamped_lines_give_a_rate_across_midnight() -> None:
    text = "23:59:50 step 100/400\n00:00:10,000 step 200/400\n"
    found = progress.read(text, elapsed_s=1e6)
    assert (found.rate_per_s, found.eta_s) == (5.0, 40.0)


def test_without_anything_else_the_whole_run_gives_the_rate() -> None:
    found = progress.read("step 50/100", elapsed_s=25)
    assert (found.rate_per_s, found.eta_s) == (2.0, 25.0)
    assert progress.read("step 50/100").eta_s is None


def test_what_is_not_a_number_warns_and_is_null_for_programs() -> None:
    found = progress.read("step 3/9 loss=nan grad_norm=inf acc=1")
    assert found.warnings == ("loss is nan", "grad_norm is inf")
    assert math.isnan(found.metrics["loss"])
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert told["metrics"] == {"loss": None, "grad_norm": None, "acc": 1.0}
    assert (told["progress"]["step"], told["progress"]["total"]) == (3, 9)


def test_a_loss_that_recovered_is_no_warning() -> None:
    assert progress.read("loss=nan\nloss=0.5").warnings == ()


def test_a_traceback_is_told_by_its_last_line() -> None:
    text = (
        "Traceback (most recent call last):\n"
        '  File "train.py", line 1, in <module>\n'
        "    raise KeyError(1)\n"
        "KeyError: 1\n\n"
        "During handling of the above exception, another exception occurred:\n\n"
        "Traceback (most recent call last):\n"
        '  File "train.py", line 3, in <module>\n'
        "    1 / 0\n    ~~^~~\n"
        "ZeroDivisionError: division by zero\n"
    )
    assert progress.read(text).warnings == (
        "traceback: ZeroDivisionError: division by zero",
    )


def test_a_prefix_of_the_launcher_is_seen_through() -> None:
    text = "[rank0]: Traceback (most recent call last):\n[rank0]:   File\n[rank0]: E: x"
    assert progress.read(text).warnings == ("traceback: E: x",)


def test_a_traceback_that_is_still_being_written_is_one() -> None:
    text = "Traceback (most recent call last):\n  File"
    assert progress.read(text).warnings == ("traceback: its end is not in the log yet",)


def test_exhausted_gpu_memory_is_said_so() -> None:
    text = (
        "Traceback (most recent call last):\n  File\n"
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"
    )
    assert progress.read(text).warnings[-1] == "CUDA out of memory"


PIECES = st.sampled_from(
    ["step", " ", "1", "/", "loss", "=", ":", "nan", "%|", "|", "[", "<", "\r", "\n",
     "Traceback (most recent call last)", "'", "{", "e9", ".", "-", "00:00:00", "it/s"]
)  # fmt: skip


@given(st.one_of(st.text(), st.lists(PIECES, max_size=60).map("".join)))
@example("step 1/0 0it/s")
@example("step ٣/٤")
@example("loss=1e999 step 1/2")
@example("\ud800 step 1")
def test_any_text_is_read(text: str) -> None:
    found = progress.read(text, elapsed_s=10.0)
    json.dumps(found.as_json(), allow_nan=False)


@pytest.mark.parametrize(
    "piece",
    ["1", "step ", "a-", "loss ", "%|", "1/", "[", " ", "x" * 63 + "/", "12:",
     "loss=" + "1" * 40, "Traceback (most recent call last)\n", "step\t", "1/1 "],
)  # fmt: skip
def test_no_text_is_slow_to_read(piece: str) -> None:
    begin = time.perf_counter()
    progress.read(piece * (1_000_000 // len(piece)))
    assert time.perf_counter() - begin < 5
