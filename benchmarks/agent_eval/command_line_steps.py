"""How an agent does it with our command line, from a shell in the project's clone."""

from collections.abc import Callable, Mapping

from agent_eval.clients import Client
from agent_eval.scenarios import BIG_FILE
from agent_eval.tool_steps import COMMIT_FIX
from agent_eval.world import World

_TRAIN = "sandbox-ops train --name {name}{force} -- {command}"
_LINK_LOST = 255
_JOB_LOST = 137
_KILLED = -9


def good_day(world: World, client: Client) -> None:
    client.shell("sandbox-ops setup && sandbox-ops run -- python3 check.py")
    client.shell(
        f"{COMMIT_FIX} && sandbox-ops sync --push && sandbox-ops run -- python3 check.py"
    )
    client.shell(
        "sandbox-ops train --name good --set lr=0.1 && sandbox-ops train --name bad --set lr=9"
    )
    answer, _ = client.shell("sandbox-ops wait good bad", expect=(0, 1))
    if "nan" in answer.lower():
        client.shell("sandbox-ops stop bad")
    answer, _ = client.shell(
        f"sandbox-ops run -- tail -n 3 {world.workspace}/old-run.log"
    )
    client.learn("accuracy", r"final accuracy (\S+)", answer)
    client.shell("sandbox-ops wait good")
    client.shell("sandbox-ops fetch")
    client.shell("sandbox-ops reset --dry-run")
    client.shell("sandbox-ops reset")


def _step(world: World) -> str:
    return f"python3 step.py once {world.step_s:g} 3"


def bad_day(world: World, client: Client) -> None:
    client.shell(
        _TRAIN.format(name="once", command=_step(world), force="")
        + " && sandbox-ops jobs"
    )
    for job, name in (("once", "exit_code"), ("ablation", "colleague_exit_code")):
        answer, _ = client.shell(f"sandbox-ops wait {job}", expect=(3, 7))
        client.learn(name, r"exit code (\d+)", answer)
    client.shell(f"sandbox-ops fetch {world.project_path}/{BIG_FILE}")


def foreground(world: World, client: Client) -> None:
    _, code = client.shell(f"sandbox-ops run -- {_step(world)}", expect=(3,))
    if code in (_LINK_LOST, _KILLED):  # it goes on there, on record
        answer, _ = client.shell("sandbox-ops jobs")
        client.learn("job", r"\b((?:cmd|remote)-\d+)\b", answer)
        _, code = client.shell(
            f"sandbox-ops wait {world.said.get('job', 'last')}", expect=(3,)
        )
    world.answer("exit_code", str(code))


def background(world: World, client: Client, force: str = "") -> None:
    client.shell(_TRAIN.format(name="once", command=_step(world), force=force))
    _, code = client.shell("sandbox-ops wait once", expect=(3,))
    world.answer("exit_code", str(code))


def disk_full(world: World, client: Client) -> None:
    background(world, client, force=" --force disk-low")  # the disk is a small one


def takeover(world: World, client: Client) -> None:
    answer, _ = client.shell(_TRAIN.format(name="once", command=_step(world), force=""))
    client.learn("job", r"\b(remote-\d+)\b", answer)
    second = client.another()
    _, code = second.shell(
        f"sandbox-ops wait {world.said.get('job', 'last')}", expect=(3,)
    )
    world.answer("exit_code", str(code))
    second.close()


def reboot(world: World, client: Client) -> None:
    train = "sandbox-ops train --name first --set lr=0.1"
    client.shell(train)
    answer, code = client.shell("sandbox-ops wait first", expect=(0, _JOB_LOST))
    world.answer("first_end", "lost" if "lost" in answer else "finished")
    if code:
        client.shell(train.replace("first", "second"))
        client.shell("sandbox-ops wait second")


def huge_log(world: World, client: Client) -> None:
    answer, _ = client.shell(
        f"sandbox-ops run --cwd / -- tail -n 3 {world.workspace}/old-run.log"
    )
    client.learn("accuracy", r"final accuracy (\S+)", answer)


STEPS: Mapping[str, Callable[[World, Client], None]] = {
    "quick": foreground,
    "good-day": good_day,
    "bad-day": bad_day,
    "link-cut": foreground,
    "sshd-restarted": background,
    "reboot": reboot,
    "client-killed": foreground,
    "takeover": takeover,
    "huge-log": huge_log,
    "disk-full": disk_full,
}
