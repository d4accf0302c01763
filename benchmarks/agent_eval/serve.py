"""Holds a scenario for a model or a person, who works from the outside."""

import shlex
import sys
import threading
from pathlib import Path

from agent_eval.clients import Client
from agent_eval.scenarios import Scenario
from agent_eval.world import World, world

_PROMPT = """\
{task}

The machine is the ssh host `box`; the project's clone belongs at {project} there, and is
at {clone} here. Write what you are asked to answer as one JSON object of texts to
{answers}. Leave nothing running on the machine."""


def prompt(scenario: Scenario, place: World) -> str:
    """Return the instructions of a model."""
    task = scenario.task.format(step_s=scenario.step_s, workspace=place.workspace)
    return _PROMPT.format(
        task=task,
        project=place.project_path,
        clone=place.git.clone,
        answers=place.answers,
    )


def serve(scenario: Scenario, folder: Path) -> int:
    """Prepare a scenario, say how to work on it, and hold it until stdin ends."""
    with world(folder.resolve(), scenario.kind) as place:
        place.step_s = scenario.step_s
        scenario.prepare(place, Client(place))
        exports = " ".join(
            f"{k}={shlex.quote(v)}" for k, v in place.environment.items()
        )
        print(f"# a shell for the agent:\ncd {place.git.clone} && export {exports}\n")
        print(f"# the prompt:\n{prompt(scenario, place)}", flush=True)
        over = threading.Event()
        thread = threading.Thread(target=scenario.fault, args=(place, over))
        thread.start()
        sys.stdin.read()
        over.set()
        thread.join()
    return 0
