"""How an agent does it with the five tools of the default set."""

import re
from collections.abc import Callable, Mapping

from agent_eval.clients import SERVER_ENDED, Client, Tools
from agent_eval.scenarios import BIG_FILE
from agent_eval.world import World

_WAIT_MS = 60_000
COMMIT_FIX = "sed -i 's/2 \\* 2 + 1/2 + 2/' check.py && git commit -qam 'Fix the sum'"


def _hands(client: Client) -> Tools:
    assert isinstance(client, Tools)
    return client


def _started(answer: str) -> str:
    found = re.search(r"\b(remote-\d+)\b", answer)
    return found[1] if found else "last"


def _background(tools: Tools, command: str, description: str) -> str:
    """Start a job in the project; return its id."""
    answer = tools.call(
        "remote_bash",
        command=command,
        cwd=tools.world.project_path,
        description=description,
        run_in_background=True,
    )
    return _started(answer)


def _wait(tools: Tools, jobs: str) -> str:
    """Wait until the first of these jobs ends or looks wrong."""
    return tools.call("remote_bash_output", bash_id=jobs, wait=_WAIT_MS)


def good_day(world: World, client: Client) -> None:
    tools, project = _hands(client), world.project_path
    tools.call(
        "remote_bash",
        command=f"nvidia-smi -L; df -h {world.workspace} | tail -n 1;"
        f" git clone -q {world.git.url} {project} && cd {project} && python3 check.py",
    )
    tools.shell(f"{COMMIT_FIX} && git push -q")
    good = _background(
        tools,
        "git pull -q --ff-only && python3 check.py && python3 train.py --lr 0.1",
        "fix, then train with lr 0.1",
    )
    bad = _background(tools, "python3 train.py --lr 9", "train with lr 9")
    answer = _wait(tools, f"{good},{bad}")
    if "nan" in answer.lower():
        tools.call("remote_bash_stop", bash_id=bad)
    answer = tools.call(
        "remote_file_read", file_path=f"{world.workspace}/old-run.log", limit=3
    )
    tools.learn("accuracy", r"final accuracy (\S+)", answer)
    _wait(tools, good)
    tools.call("remote_fetch", path=f"{project}/models")
    tools.call(
        "remote_bash",
        cwd=project,
        command="git status --short && git stash push -q -u && git fetch -q &&"
        " git reset -q --hard origin/main && git status -sb && git stash list",
    )


def good_day_with_workflows(world: World, client: Client) -> None:
    """The same day with the second toolset."""
    tools, log = _hands(client), f"{world.workspace}/old-run.log"
    tools.call("remote_setup")
    tools.shell(COMMIT_FIX)
    answer = tools.call("remote_train", sync=True, settings={"lr": [0.1, 9]})
    good, bad, *_ = [
        *re.findall(r"^(remote-\d+)", answer, re.MULTILINE),
        "last",
        "last",
    ]
    answer = _wait(tools, f"{good},{bad}")
    if "nan" in answer.lower():
        tools.call("remote_bash_stop", bash_id=bad)
    answer = tools.call("remote_file_read", file_path=log, limit=3)
    tools.learn("accuracy", r"final accuracy (\S+)", answer)
    _wait(tools, good)
    tools.call("remote_fetch")
    tools.call("remote_reset")
    tools.call("remote_reset", confirm=True)


def _step(world: World) -> str:
    return f"python3 step.py once {world.step_s:g} 3"


def bad_day(world: World, client: Client) -> None:
    tools = _hands(client)
    step = _background(tools, _step(world), "the step that runs once")
    colleague = _other_job(tools.call("remote_bash_output"), than=step)
    for job, name in ((step, "exit_code"), (colleague, "colleague_exit_code")):
        answer = _wait(tools, job)
        tools.learn(name, r"exit code (\d+)", answer)
    tools.call("remote_fetch", path=f"{world.project_path}/{BIG_FILE}")


def foreground(world: World, client: Client) -> None:
    tools = _hands(client)
    command = f"cd {world.project_path} && {_step(world)}"
    answer = tools.call("remote_bash", command=command, may_fail=True)
    if answer.startswith(SERVER_ENDED):  # it goes on there, on record
        answer = _wait(tools, _other_job(tools.call("remote_bash_output")))
    tools.learn("exit_code", r"exit code (\d+)", answer)


def _other_job(listing: str, than: str = "") -> str:
    """Return the job of a list that runs and is not ours."""
    running = re.findall(r"^((?:cmd|remote)-\d+)\b.* running", listing, re.MULTILINE)
    return next((job for job in running if job != than), "last")


def background(world: World, client: Client) -> None:
    tools = _hands(client)
    answer = _wait(tools, _background(tools, _step(world), "the step"))
    tools.learn("exit_code", r"exit code (\d+)", answer)


def takeover(world: World, client: Client) -> None:
    job = _background(_hands(client), _step(world), "the step")
    second = client.another()
    second.learn("exit_code", r"exit code (\d+)", _wait(_hands(second), job))
    second.close()


def reboot(world: World, client: Client) -> None:
    tools = _hands(client)
    train = "python3 train.py --lr 0.1"
    answer = _wait(tools, _background(tools, train, "train"))
    lost = "lost" in answer
    world.answer("first_end", "lost" if lost else "finished")
    if lost:
        _wait(tools, _background(tools, train, "train again"))


def huge_log(world: World, client: Client) -> None:
    answer = _hands(client).call(
        "remote_file_read", file_path=f"{world.workspace}/old-run.log", limit=3
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
    "disk-full": background,
}

WORKFLOW_STEPS = {"good-day": good_day_with_workflows}
