"""Reading how far a training is from its log."""

import json
import math
import time
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sandbox_ops.errors import UsageError
from sandbox_ops.text import log_patterns, progress

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
    reading = progress.read(text)
    assert (reading.step, reading.total) == (step, total)


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
    reading = progress.read(TQDM)
    assert (reading.rate_per_s, reading.eta_s) == (41.3, 14.0)


def test_seconds_a_step_are_a_rate_too() -> None:
    reading = progress.read("step 10/20, 2.0s/it")
    assert (reading.rate_per_s, reading.eta_s) == (0.5, 20.0)


def test_stamped_lines_give_a_rate_across_midnight() -> None:
    text = "23:59:50 step 100/400\n00:00:10,000 step 200/400\n"
    reading = progress.read(text, elapsed_s=1e6)
    assert (reading.rate_per_s, reading.eta_s) == (5.0, 40.0)


def test_without_anything_else_the_whole_run_gives_the_rate() -> None:
    reading = progress.read("step 50/100", elapsed_s=25)
    assert (reading.rate_per_s, reading.eta_s) == (2.0, 25.0)
    assert progress.read("step 50/100").eta_s is None


def test_what_is_not_a_number_warns_and_is_null_for_programs() -> None:
    reading = progress.read("step 3/9 loss=nan grad_norm=inf acc=1")
    assert reading.warnings == ("loss is nan", "grad_norm is inf")
    assert math.isnan(reading.metrics["loss"])
    reply = json.loads(json.dumps(reading.as_json(), allow_nan=False))
    assert reply["metrics"] == {"loss": None, "grad_norm": None, "acc": 1.0}
    assert (reply["progress"]["step"], reply["progress"]["total"]) == (3, 9)


def test_a_loss_that_recovered_is_no_warning() -> None:
    assert progress.read("loss=nan\nloss=0.5").warnings == ()


def test_a_traceback_is_reported_by_its_last_line() -> None:
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


def test_exhausted_gpu_memory_is_reported() -> None:
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
    reading = progress.read(text, elapsed_s=10.0)
    json.dumps(reading.as_json(), allow_nan=False)


PARTS = st.lists(
    st.sampled_from(
        ["1", "step ", "a-", "loss ", "%|", "1/", "[", " ", "x" * 63 + "/", "12:", "=", "|",
         "loss=" + "1" * 400, "Traceback (most recent call last)\n", "step\t", "1/1 ",
         "| a | 1 |\n", "\x1b[", "\x1b[0;", "epoch 1 ", "━", "100% ━", "1,", "tensor(",
         "eta: 1 day, ", '{"a":', '{"a":1}\n', "[1]\ta:1\t", "1:\tlearn: ", "total steps ",
         "max_", "lm loss ", "Epoch  a  b\n", "1  2  3\n", "\r", "\n", "nan", "e", ".", "_",
         "remaining: ", "1it [", "[rank0]: ", "-", "0"]
    ),
    min_size=1,
    max_size=6,
).map("".join)  # fmt: skip


def _cpu_s(text: str, patterns: tuple[str, ...] = ()) -> float:
    """The least that reading took: what else the machine does is not in it."""
    source = progress.Source(
        head=text,
        metrics_file=text,
        command=text,
        metric_patterns=patterns,
        progress_patterns=patterns,
    )
    times = []
    for _ in range(3):
        begin = time.process_time()
        progress.read(text, 10.0, source)
        times.append(time.process_time() - begin)
    return min(times)


@settings(max_examples=10, deadline=None)
@given(PARTS)
@example("a-")
@example("loss=" + "1" * 330)
@example("\x1b[0;")
def test_reading_eight_times_as_much_takes_no_more_than_linearly_longer(
    part: str,
) -> None:
    once = _cpu_s((part * 4000)[:4000])
    eight = _cpu_s((part * 32000)[:32000])
    assert eight < 24 * once + 0.05  # a square would take 64 times as long


def test_patterns_of_ones_own_are_linear_too() -> None:
    pattern = "(?P<step>(?:a*)*b|x[0-9]+)"
    small = _cpu_s("a" * 4000, (pattern,))
    assert _cpu_s("a" * 32000, (pattern,)) < 24 * small + 0.05


# -- what is no metric, what comes first, what is wrong ------------------------------


@pytest.mark.parametrize(
    ("text", "metrics"),
    [
        ("prep:  35%|###   | 35/100 [00:01<00:02, 30.1it/s]", {}),
        ("step 3/9 eta: 0:19:12", {}),
        ("2026-11-22 12:30:45.1 | INFO | __main__:main:12 - step 3/9", {}),
        ("step 3/9 total_steps: 9 num_epochs=3 global_step=3 seed: 1", {}),
        ("INFO train.py:12 step 3/9 saved", {}),
        ("step 3/9 loss: tensor(0.5, device='cuda:0', grad_fn=<Mean>)", {"loss": 0.5}),
        ("step 3/9 return: 1,234.5", {"return": 1234.5}),
        ("step 3/9 loss " + "1" * 60 + ".25", {"loss": float("1" * 60)}),
        ("step 3/9 lr=1e-4 fps=90 value_loss=2 acc=0.5 loss=3",
         {"loss": 3.0, "acc": 0.5, "value_loss": 2.0, "lr": 1e-4, "fps": 90.0}),
    ],
)  # fmt: skip
def test_metrics_are_those_of_the_training_and_losses_come_first(
    text: str, metrics: dict[str, float]
) -> None:
    read = progress.read(text).metrics
    assert list(read.items()) == list(metrics.items())


def test_the_loss_shown_is_that_of_the_step_shown() -> None:
    lines = [f"step {n}/40 loss {10.0**n:.4f}" for n in range(1, 38)]
    read = progress.read("\n".join(lines))
    assert (read.step, read.metrics["loss"]) == (37, 1e37)


@pytest.mark.parametrize(
    ("values", "warned"),
    [
        ((2.1, 2e3, 1e10), True),
        ((2e3, 1e10), True),
        ((1e10, 1.9), False),
        ((2.1, 9.0, 1.9), False),
        ((1e-7, 0.5), False),
        ((2.1, 1e10, float("nan")), True),
    ],
)
def test_a_loss_that_explodes_is_warned_of(
    values: tuple[float, ...], *, warned: bool
) -> None:
    lines = [f"step {n}/9 loss {value}" for n, value in enumerate(values, start=1)]
    assert bool(progress.read("\n".join(lines)).warnings) == warned


def test_a_loss_that_exploded_before_the_end_of_the_log_is_warned_of() -> None:
    source = progress.Source(head="step 1/900 loss 2.5\n")
    tail = "step 800/900 loss 1e12\nstep 801/900 loss 1e12"
    read = progress.read(tail, None, source)
    assert read.warnings == ("loss has exploded: 1e+12 after 2.5",)


def test_a_reward_that_grows_is_no_explosion() -> None:
    assert progress.read("step 1/9 reward 1\nstep 2/9 reward 1e9").warnings == ()


# -- what else is known --------------------------------------------------------------


def test_the_rate_of_a_resumed_run_counts_from_where_it_went_on() -> None:
    source = progress.Source(head="step 50100/60000\nstep 50200/60000\n")
    read = progress.read("step 51000/60000", 100.0, source)
    assert read.rate_per_s == 10.0


def test_a_rate_that_cannot_be_known_is_not_reported() -> None:
    source = progress.Source(head="Resuming from checkpoint last.pt\n")
    assert progress.read("step 51000/60000", 100.0, source).rate_per_s is None


@pytest.mark.parametrize(
    ("log", "command", "total"),
    [
        ("iter 30: loss 2", "python train.py --max_iters=500", 500),
        ("max_iters = 500\niter 30: loss 2", "", 500),
        ("step 30 loss 2", "python train.py --num-steps 500 --seed 1", 500),
        ("***** Total optimization steps = 500\nstep 30 loss 2", "", 500),
        ("step 30 loss 2", "python train.py --steps 20", None),
        ("step 30 loss 2", "python train.py --warmup-steps 500", None),
        ("Episode 30 reward 2", "python train.py --episodes 500", 500),
        ("{'loss': 2.0, 'epoch': 1.5}", "python train.py --num_train_epochs 3", 3),
    ],
)
def test_the_total_may_be_said_by_the_configuration(
    log: str, command: str, total: int | None
) -> None:
    assert progress.read(log, None, progress.Source(command=command)).total == total


def test_a_full_bar_does_not_hide_the_one_that_is_being_filled() -> None:
    text = (
        "Map: 100%|####| 60000/60000 [00:01<00:00, 9it/s]\r"
        " 10%|#   | 50/500 [00:10<01:30, 5.0it/s]\r"
        "Eval: 100%|####| 13/13 [00:01<00:00, 9it/s]\n"
    )
    read = progress.read(text)
    assert (read.step, read.total, read.eta_s) == (50, 500, 90.0)


def test_what_is_left_counts_all_epochs() -> None:
    read = progress.read("Epoch 2/5:  50%|##  | 50/100 [00:10<00:10, 5.0it/s]")
    assert (read.step, read.total, read.eta_s) == (2, 5, 70.0)


def test_a_file_of_metrics_counts_before_the_log() -> None:
    lines = '{"step": 7, "total": 9, "loss": 0.5}\nhalf a line'
    source = progress.Source(metrics_file=lines)
    read = progress.read("step 1/3 loss=8 acc=1", None, source)
    assert (read.step, read.total) == (7, 9)
    assert read.metrics == {"loss": 0.5, "acc": 1.0}


@pytest.mark.parametrize(
    "line",
    ["{" * 4000 + "}", "[" * 4000, '{"a": ' + "[" * 3000 + "]" * 900 + "}",
     '{"step": 1e400, "x": ' + "9" * 4000 + "}", '{"step": -1}',
     '{"step": "x", "loss": true}', "{}"],
)  # fmt: skip
def test_any_line_of_a_file_of_metrics_is_read_or_passed_over(line: str) -> None:
    source = progress.Source(metrics_file=f"{line}\n{line}")
    read = progress.read("", None, source)
    assert read.step is None
    json.dumps(read.as_json(), allow_nan=False)


def test_own_patterns_count_before_all_else_and_their_metrics_come_first() -> None:
    source = progress.Source(
        metric_patterns=(
            "energy -> (?P<energy>[-.0-9]+)",
            "<(?P<name>[a-z]+) (?P<value>[0-9]+)>",
        ),
        progress_patterns=(
            "sweep (?P<step>[0-9]+) of (?P<total>[0-9]+)(?: eta (?P<eta>[0-9:]+))?",
        ),
    )
    text = "step 1/3 loss=8\nsweep 7 of 90 eta 1:05\nenergy -> -3.5\n<spin 4>"
    read = progress.read(text, None, source)
    assert (read.step, read.total, read.eta_s) == (7, 90, 65.0)
    assert list(read.metrics) == ["energy", "spin", "loss"]


@pytest.mark.parametrize(
    ("check", "pattern", "words"),
    [
        (log_patterns.check_metrics, "score (", "bad pattern"),
        (log_patterns.check_metrics, "score ([0-9]+)", "names no metric"),
        (log_patterns.check_metrics, "(?P<name>[a-z]+)", "names no metric"),
        (log_patterns.check_progress, "(?P<total>[0-9]+)", "must be step"),
        (log_patterns.check_progress, "(?P<step>1)(?P<loss>2)", "must be step"),
        (log_patterns.check_progress, "(?P<step>1)(?=2)", "bad pattern"),
    ],
)
def test_a_pattern_that_reads_nothing_is_refused(
    check: Callable[[str], None], pattern: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        check(pattern)


def test_the_course_of_a_metric_is_that_of_the_end_of_the_log_alone() -> None:
    lines = [f"step {n}/99 loss={n}.0" for n in range(1, 100)]
    source = progress.Source(head="begin\n", notable="\n" + "\n".join(lines[90:]))
    read = progress.read("\n".join(lines[50:]), source=source)
    assert read.course == tuple(float(n) for n in range(52, 100))
    source = progress.Source(metrics_file='{"loss": 7}\n{"loss": 8}\n')
    assert progress.read("loss=1.0\nloss=2.0\n", source=source).course == (7.0, 8.0)
