"""The scenarios as data: what there is, what happens, what is asked, what must be true.

How each client goes about it: `ssh_steps`, `tool_steps`, `command_line_steps`.
"""

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass

from agent_eval import facts, faults
from agent_eval.clients import Client
from agent_eval.world import Kind, World

_LINE = b"step %07d/1000000 loss=0.1234 lr=0.0003 tokens/s=51234 gpu=91 %%\n"
_BLOCK = b"".join(_LINE % number for number in range(16_000))
_CUT_IN_STEP = 17 / 50  # how far into the step the link is cut, each time
ACCURACY = "0.8731"
BIG_FILE = "results/big.bin"
BIG_FILE_BYTES = 30_000_000


@dataclass(frozen=True, slots=True)
class Scenario:
    """One task on one machine.

    Attributes:
        title: What it is, in a few words.
        task: What a client is asked to do; a model reads it as it is.
        facts: What must be true afterwards.
        fault: What happens meanwhile.
        prepare: Makes what lies on the machine before.
        kind: Of the machine; in a container a client sees the processes of no other.
        step_s: How long the program of the scenario takes.
    """

    title: str
    task: str
    facts: tuple[facts.Check, ...]
    fault: faults.Fault = faults.none
    prepare: Callable[[World, Client], None] = lambda _world, _client: None
    kind: Kind = "plain"
    step_s: float = 6.0


def _clone(world: World, _client: Client) -> None:
    clone = ["clone", "-q", world.git.url, world.project_path]
    do = functools.partial(world.git.git, *clone)
    world.mounts.do(do) if world.mounts else do()


def _old_log(world: World, _client: Client) -> None:
    with (world.workspace / "old-run.log").open("wb") as log:
        for _ in range(120_000_000 // len(_BLOCK)):
            log.write(_BLOCK)
        log.write(f"final accuracy {ACCURACY}\n".encode())


def _huge_log(world: World, _client: Client) -> None:
    with (world.workspace / "old-run.log").open("wb") as log:
        log.write(_BLOCK)
        log.truncate(2_000_000_000)  # sparse: only both ends have lines
        log.seek(0, 2)
        log.write(b"\n" + _BLOCK + f"final accuracy {ACCURACY}\n".encode())


def _prepare_bad_day(world: World, client: Client, step_s: float) -> None:
    _clone(world, client)
    file = world.remote_clone / BIG_FILE
    file.parent.mkdir()
    file.write_bytes(os.urandom(BIG_FILE_BYTES))
    client.colleague(f"python3 step.py colleague {step_s * 1.4:g} 7")


def scenarios(step_s: float = 10.0) -> dict[str, Scenario]:
    """Return them by name.

    Args:
        step_s: How long the step of the bad day takes; the rest of it in proportion.
    """
    return {**_without_fault(), "bad-day": _bad_day(step_s), **_with_a_fault()}


_ONCE = "python3 step.py once {step_s:g} 3"


def _without_fault() -> dict[str, Scenario]:
    return {
        "quick": Scenario(
            title="a step that must run once, no fault",
            task=f"In the project there, run `{_ONCE}`. Answer `exit_code`.",
            facts=_step_facts(3),
            prepare=_clone,
            step_s=0.5,
        ),
        "good-day": _GOOD_DAY,
        "takeover": Scenario(
            title="a second agent takes over by id",
            task=f"In the project there, start `{_ONCE}` in the background and leave; a second"
            " agent, told only the id, waits for its end and answers `exit_code`.",
            facts=_step_facts(3),
            prepare=_clone,
        ),
        "huge-log": Scenario(
            title="the end of a log of 2 GB",
            task="Answer `accuracy`: what the last line of {workspace}/old-run.log says.",
            facts=(facts.learned("accuracy", ACCURACY),),
            prepare=_huge_log,
        ),
    }


def _bad_day(step_s: float) -> Scenario:
    return Scenario(
        title="a link that is cut again and again",
        task="In the project there, run `python3 step.py once {step_s:g} 3`. It must run"
        " exactly once. Answer its `exit_code`. A colleague runs `python3 step.py"
        " colleague ...` there: wait for its end and answer `colleague_exit_code`."
        f" Bring {BIG_FILE} of the project there home, into the clone here. The"
        " link is bad today.",
        facts=(
            *_step_facts(3),
            facts.ran("colleague"),
            facts.finished("colleague", 7),
            facts.learned("colleague_exit_code", "7"),
            facts.home_alike(BIG_FILE),
        ),
        fault=faults.cut_every(step_s * _CUT_IN_STEP),
        prepare=functools.partial(_prepare_bad_day, step_s=step_s),
        step_s=step_s,
        kind="container",
    )


def _with_a_fault() -> dict[str, Scenario]:
    return {
        "link-cut": Scenario(
            title="the link is cut in mid command",
            task=f"In the project there, run `{_ONCE}` in the foreground, as one does with"
            " what is short. Answer `exit_code`.",
            facts=_step_facts(3),
            fault=faults.once_running("once", faults.cut),
            prepare=_clone,
            kind="container",
        ),
        "sshd-restarted": Scenario(
            title="sshd is restarted while a step runs in the background",
            task=f"In the project there, start `{_ONCE}` in the background, then wait for"
            " its end. Answer `exit_code`.",
            facts=_step_facts(3),
            fault=faults.once_running("once", faults.restart_sshd),
            prepare=_clone,
        ),
        "reboot": Scenario(
            title="the machine reboots while it trains",
            task="In the project there, start `python3 train.py --lr 0.1` in the background"
            " and wait for its end. Should it be lost, start it once more. Answer"
            " `first_end`: `finished` or `lost`.",
            facts=(
                facts.ran("train-0.1", 2),
                facts.finished("train-0.1"),
                facts.learned("first_end", "lost"),
                facts.nothing_left,
            ),
            fault=faults.once_running("train-0.1", faults.reboot),
            prepare=_clone,
            kind="container",
        ),
        "client-killed": Scenario(
            title="the client's program is killed in mid command",
            task=f"In the project there, run `{_ONCE}` in the foreground, as one does with"
            " what is short. Answer `exit_code`.",
            facts=_step_facts(3),
            fault=faults.once_running("once", faults.kill_client),
            prepare=_clone,
            kind="container",
        ),
        "disk-full": Scenario(
            title="the disk fills up while a step runs",
            task=f"In the project there, start `{_ONCE}` in the background, then wait for"
            " its end. Answer `exit_code`.",
            facts=_step_facts(3),
            fault=faults.once_running("once", faults.fill_disk),
            prepare=_clone,
            kind="small-disk",
        ),
    }


def _step_facts(code: int) -> tuple[facts.Check, ...]:
    return (
        facts.ran("once"),
        facts.finished("once", code),
        facts.learned("exit_code", str(code)),
        facts.nothing_left,
    )


_GOOD_DAY = Scenario(
    title="a day of the guide",
    task="Set the project up there. `check.py` adds wrongly: fix it here (`2 * 2 + 1` is"
    " `2 + 2`), push it, bring it there. Train with `--lr 0.1` and `--lr 9` side by side"
    " (`python3 train.py --lr LR`); one diverges: stop it, and wait for the other."
    " Meanwhile answer `accuracy`: what the last line of {workspace}/old-run.log says."
    " Bring models/policy-0.1.bin home, into the clone here, and be sure that it is"
    " whole. At last somebody has edited the clone there: keep that in a ref there, and"
    " put the clone back to what is upstream.",
    facts=(
        facts.ran("train-0.1"),
        facts.finished("train-0.1"),
        facts.trained_at_upstream("train-0.1"),
        facts.ran("train-9"),
        facts.unfinished("train-9"),
        facts.learned("accuracy", ACCURACY),
        facts.home_alike("models/policy-0.1.bin"),
        facts.rescued(faults.EDIT),
        facts.at_upstream,
        facts.nothing_left,
    ),
    fault=faults.colleague_edits(after="train-0.1"),
    prepare=_old_log,
    kind="container",
)
