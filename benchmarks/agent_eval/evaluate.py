"""Runs scenarios with clients, and looks what is right afterwards."""

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from agent_eval import command_line_steps, ssh_steps, tool_steps
from agent_eval.clients import CLIENTS, Client, Cost, Tools
from agent_eval.facts import Fact, all_of
from agent_eval.scenarios import Scenario
from agent_eval.world import World, world

STEPS: Mapping[str, Mapping[str, Callable[[World, Client], None]]] = {
    "ssh": ssh_steps.STEPS,
    "tools": tool_steps.STEPS,
    "both toolsets": tool_steps.WORKFLOW_STEPS,
    "command line": command_line_steps.STEPS,
}


@dataclass(frozen=True, slots=True)
class Result:
    """How a client did in a scenario.

    Attributes:
        fixed: Characters that it reads once a conversation, before the first call.
        gave_up: Why its script could not go on, or "".
    """

    scenario: str
    client: str
    cost: Cost
    seconds: float
    facts: tuple[Fact, ...]
    fixed: int = 0
    gave_up: str = ""

    @property
    def wrong(self) -> tuple[Fact, ...]:
        return tuple(fact for fact in self.facts if not fact.holds)


def run_all(
    scenarios: Mapping[str, Scenario],
    clients: Sequence[str],
    done: Callable[[Result], None],
) -> list[Result]:
    """Run every scenario with every client; the clients of one side by side.

    Args:
        scenarios: By name.
        clients: Of `CLIENTS`.
        done: Called with each result as it comes.
    """
    results = []
    with ThreadPoolExecutor(len(clients)) as side_by_side:
        for name, scenario in scenarios.items():
            work = [
                side_by_side.submit(run, name, scenario, client)
                for client in clients
                if name in STEPS[client]
            ]
            for future in work:
                results.append(future.result())
                done(results[-1])
    return results


def run(name: str, scenario: Scenario, client_name: str) -> Result:
    """Run one scenario with one client, in a world of its own."""
    with tempfile.TemporaryDirectory(prefix="agent-eval-") as root:
        folder = Path(root) / "world"
        with world(folder, scenario.kind) as place:
            place.step_s = scenario.step_s
            client = CLIENTS[client_name](place)
            scenario.prepare(place, client)
            client.open()
            began = time.monotonic()
            gave_up = ""
            with _faults(scenario, place):
                try:
                    STEPS[client_name][name](place, client)
                except Exception as error:  # noqa: BLE001 - a script's end is a result
                    gave_up = repr(error)
                seconds = time.monotonic() - began
            cost = Cost(**vars(client.cost))
            client.close()
            facts = tuple(all_of(scenario.facts, place))
        fixed = client.fixed if isinstance(client, Tools) else 0
        return Result(name, client_name, cost, seconds, facts, fixed, gave_up)


@contextlib.contextmanager
def _faults(scenario: Scenario, place: World) -> Iterator[None]:
    over = threading.Event()
    thread = threading.Thread(target=scenario.fault, args=(place, over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
