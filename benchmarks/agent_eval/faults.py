"""What happens to a machine or a client while a scenario goes on.

A fault is a function that is called in a thread of its own once the scenario begins. It
ends when `over` is set at the latest.
"""

import secrets
from collections.abc import Callable
from threading import Event

import processes

from agent_eval.world import World

Fault = Callable[[World, Event], None]
_LOOK_S = 0.02
EDIT = "edited_on_the_machine"


def none(_world: World, _over: Event) -> None:
    """A good day."""


def cut_every(period_s: float) -> Fault:
    """Kill all sessions of the sshd again and again."""

    def fault(world: World, over: Event) -> None:
        while not over.wait(period_s):
            cut(world)

    return fault


def once_running(
    name: str, action: Callable[[World], None], after_s: float = 1.5
) -> Fault:
    """Do something a while after a program of the scenario began."""

    def fault(world: World, over: Event) -> None:
        if _until_there(world, f"{name}.runs", over) and not over.wait(after_s):
            action(world)

    return fault


def colleague_edits(after: str) -> Fault:
    """Edit the clone there, once a program has ended."""

    def fault(world: World, over: Event) -> None:
        if _until_there(world, f"{after}.code", over):
            with (world.remote_clone / "check.py").open("a") as file:
                file.write(f"print('{EDIT}')\n")

    return fault


def _until_there(world: World, name: str, over: Event) -> bool:
    while not (world.truth / name).exists():
        if over.wait(_LOOK_S):
            return False
    return True


def cut(world: World) -> None:
    """Kill all sessions of the sshd, once."""
    processes.end(world.server.session_pids(), grace_s=0)


def restart_sshd(world: World) -> None:
    """Restart the sshd; its sessions die with it."""
    world.server.stop()
    world.server.start(busy=True)


def reboot(world: World) -> None:
    """Switch the machine off and on; it has another boot id then."""
    (world.folder / "boot_id").write_text(f"{secrets.randbits(64):036x}\n")
    world.server.stop()
    world.server.start(busy=True)


def kill_client(world: World) -> None:
    """Kill the client's programs, as a crash does."""
    world.kill_client()


def fill_disk(world: World) -> None:
    """Leave no room on the machine."""
    world.fill_disk()
