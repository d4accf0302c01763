"""How a good engineer does it with plain ssh over a ControlMaster.

Detached with nohup and setsid, exit codes in files, a lock around what must run once,
commands combined, and loops around what a bad link breaks, once it is known to be bad.
"""

from collections.abc import Callable, Mapping

from agent_eval.clients import Client
from agent_eval.scenarios import BIG_FILE
from agent_eval.world import World

_WAIT = "while [ ! -s {exit} ] && kill -0 $(cat {pid}) 2>/dev/null; do sleep 0.5; done; cat {exit}"
_LOST = 255


def start(name: str, command: str) -> str:
    """Return the shell text that starts something in the current folder, once."""
    return (
        f"mkdir -p logs && mkdir logs/{name}.lock && (nohup setsid sh -c"
        f' "echo \\$\\$ >logs/{name}.pid; {command}; echo \\$? >logs/{name}.exit"'
        f" >logs/{name}.log 2>&1 </dev/null &)"
    )


def wait(folder: str, name: str) -> str:
    """Return the shell text that waits for its end and says its exit code."""
    log = f"{folder}/logs/{name}"
    return _WAIT.format(exit=f"{log}.exit", pid=f"{log}.pid")


def _there(text: str) -> str:
    return f"ssh box '{text}'" if "'" not in text else f'ssh box "{text}"'


def good_day(world: World, client: Client) -> None:
    project = world.project_path
    client.shell(
        f"ssh box 'nvidia-smi -L; df -h {world.workspace} | tail -n 1; free -g | head -n 2;"
        f" git clone -q {world.git.url} {project} && cd {project} && python3 check.py'"
    )
    client.shell(
        "sed -i 's/2 \\* 2 + 1/2 + 2/' check.py && git commit -qam 'Fix the sum' &&"
        f" git push -q && ssh box 'cd {project} && git pull -q --ff-only &&"
        " git log -1 --format=%h && python3 check.py'"
    )
    both = " && ".join(
        start(f"lr{lr}", f"python3 train.py --lr {lr}") for lr in ("0.1", "9")
    )
    client.shell(_there(f"cd {project} && {both}"))
    look = f"cd {project} && sleep 3; tail -n 2 logs/lr*.log; tail -n 2 ../old-run.log"
    answer, _ = client.shell(_there(look))
    client.learn("accuracy", r"final accuracy (\S+)", answer)
    if "nan" in answer:
        stop = "kill -- -$(cat logs/lr9.pid); sleep 0.3; pgrep -f [t]rain.py.--lr.9; tail -n 1 logs/lr9.log"
        client.shell(_there(f"cd {project} && {stop}"))
    client.shell(
        _there(f"{wait(project, 'lr0.1')}; tail -n 2 {project}/logs/lr0.1.log")
    )
    client.shell(
        f"mkdir -p models && scp -q 'box:{project}/models/*' models/ && sha256sum models/* &&"
        f" ssh box 'cd {project} && sha256sum models/*'"
    )
    client.shell(
        _there(
            f"cd {project} && git status --short && git stash push -q -u && git fetch -q &&"
            " git reset -q --hard origin/main && git status -sb && git stash list;"
            " pgrep -fa [t]rain.py",
        ),
        expect=(0, 1),
    )


def bad_day(world: World, client: Client) -> None:
    project = world.project_path
    step = f"python3 step.py once {client_step(world)} 3"
    again = (
        f"cd {project} && {start('once', step)}; pgrep -fa [s]tep.py; ls ~ ~/colleague"
    )
    _, code = client.shell(_there(again))
    while code == _LOST:  # the lock lets it run once
        _, code = client.shell(_there(again), expect=(0, 1))
    for name, text in (
        ("exit_code", wait(project, "once")),
        (
            "colleague_exit_code",
            "while [ ! -s ~/colleague/exit ]; do sleep 0.5; done; cat ~/colleague/exit",
        ),
    ):
        answer, code = client.shell(_there(text))
        if code == _LOST:
            loop = f"until {_there(text)} 2>/dev/null; do sleep 1; done"
            answer, _ = client.shell(loop)
        client.learn(name, r"^(\d+)$", answer)
    client.shell(
        f"mkdir -p results; until scp -q box:{project}/{BIG_FILE} results/; do sleep 1; done;"
        f" sha256sum {BIG_FILE}; until ssh box sha256sum {project}/{BIG_FILE}; do sleep 1; done"
    )


def client_step(world: World) -> str:
    """Return how long the step takes, as the task says."""
    return f"{world.step_s:g}"


def foreground(world: World, client: Client) -> None:
    command = f"ssh box 'cd {world.project_path} && python3 step.py once {client_step(world)} 3'"
    _, code = client.shell(command, expect=(3,))
    if code != 3:  # it is not known whether it goes on: look, and only then again
        look = "pgrep -fa [s]tep.py; sleep 1; pgrep -fa [s]tep.py"
        answer, _ = client.shell(f"ssh box '{look}'", expect=(0, 1))
        if "step.py" in answer:
            client.shell(
                "ssh box 'while pgrep -f [s]tep.py >/dev/null; do sleep 0.5; done'"
            )
        _, code = client.shell(command, expect=(3,))
    world.answer("exit_code", str(code))


def background(world: World, client: Client) -> None:
    project = world.project_path
    begin = start("once", f"python3 step.py once {client_step(world)} 3")
    client.shell(_there(f"cd {project} && {begin}"))
    _await(client, _there(wait(project, "once")))


def takeover(world: World, client: Client) -> None:
    project = world.project_path
    begin = start("once", f"python3 step.py once {client_step(world)} 3")
    client.shell(_there(f"cd {project} && {begin}"))
    second = client.another()
    _await(
        second,
        _there(f"{wait(project, 'once')}; tail -n 1 {project}/logs/once.log"),
    )
    second.close()


def _await(client: Client, command: str) -> str:
    answer, code = client.shell(command, expect=(0, 1))
    while code == _LOST:
        answer, code = client.shell(f"sleep 1; {command}", expect=(0, 1))
    client.learn("exit_code", r"^(\d+)$", answer)
    return answer


def reboot(world: World, client: Client) -> None:
    project = world.project_path
    first = start("train", "python3 train.py --lr 0.1")
    client.shell(_there(f"cd {project} && {first}"))
    answer = _await(client, _there(wait(project, "train")))
    ended = "finished" if answer.strip() == "0" else "lost"
    world.answer("first_end", ended)
    if ended == "lost":
        client.shell(
            _there(f"cd {project} && {start('again', 'python3 train.py --lr 0.1')}")
        )
        _await(client, _there(wait(project, "again")))


def huge_log(world: World, client: Client) -> None:
    answer, _ = client.shell(f"ssh box tail -n 3 {world.workspace}/old-run.log")
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
