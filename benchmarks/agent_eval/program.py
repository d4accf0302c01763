"""The command: run all, or serve one scenario and check it."""

import argparse
import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from agent_eval import report
from agent_eval.clients import CLIENTS
from agent_eval.evaluate import Result, run_all
from agent_eval.facts import all_of
from agent_eval.scenarios import scenarios
from agent_eval.serve import serve
from agent_eval.world import Layout

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "agent-evaluation.md"
_FULL_STEP_S = 50.0
_TEST = "quick"  # of the harness; says nothing about a client


def main() -> int:
    """Do what the arguments say; return the exit code: 1 where something is not right."""
    options = _parser().parse_args()
    with _clean_environment():
        code: int = options.action(options)
    return code


def _run(options: argparse.Namespace) -> int:
    known = scenarios(_FULL_STEP_S) if options.full else scenarios()
    names = options.only or [name for name in known if name != _TEST]
    if os.geteuid() != 0:
        without = [name for name in names if known[name].kind != "plain"]
        print(f"left out, for they need root: {', '.join(without)}", file=sys.stderr)
        names = [name for name in names if name not in without]
    chosen = {name: known[name] for name in names}
    clients = options.client or list(CLIENTS)

    def done(result: Result) -> None:
        cost = result.cost
        print(
            f"{result.scenario}, {result.client}: {cost.calls} calls, {len(result.wrong)}"
            f" not right, {result.seconds:.1f} s",
            file=sys.stderr,
            flush=True,
        )
        if options.show:
            print(*cost.transcript, "", sep="\n", file=sys.stderr)

    results = run_all(chosen, clients, done)
    print(report.table(results, chosen))
    print(report.fixed(results))
    print(*report.wrong(results), sep="\n")
    if options.write:
        PAGE.write_text(report.page(results, chosen), "utf-8")
    ours = [result for result in results if result.client != "ssh"]
    return int(any(result.wrong or result.gave_up for result in ours))


def _serve(options: argparse.Namespace) -> int:
    return serve(scenarios(_FULL_STEP_S)[options.scenario], options.folder)


def _check(options: argparse.Namespace) -> int:
    scenario = scenarios(_FULL_STEP_S)[options.scenario]
    seen = tuple(all_of(scenario.facts, Layout(options.folder.resolve())))
    for fact in seen:
        print(f"{'ok   ' if fact.holds else 'WRONG'} {fact.name}", end="")
        print("" if fact.holds else f": {fact.seen}")
    return int(not all(fact.holds for fact in seen))


def _parser() -> argparse.ArgumentParser:
    names = sorted(scenarios())
    parser = argparse.ArgumentParser(prog="python -m benchmarks.agent_eval")
    verbs = parser.add_subparsers(required=True)
    run = verbs.add_parser("run", help="run scripted clients, print a table")
    run.add_argument("--only", action="append", choices=names, help="this scenario")
    run.add_argument("--client", action="append", choices=list(CLIENTS))
    run.add_argument(
        "--full", action="store_true", help="the bad day in its full length"
    )
    run.add_argument("--write", action="store_true", help=f"write {PAGE.name}, too")
    run.add_argument("--show", action="store_true", help="every call and answer")
    run.set_defaults(action=_run)
    for name, action, what in (
        (
            "serve",
            _serve,
            "prepare a scenario, print its task, hold it until stdin ends",
        ),
        ("check", _check, "say what is right in the folder of a served scenario"),
    ):
        verb = verbs.add_parser(name, help=what)
        verb.add_argument("scenario", choices=names)
        verb.add_argument("folder", type=Path)
        verb.set_defaults(action=action)
    return parser


@contextlib.contextmanager
def _clean_environment() -> Iterator[None]:
    """Keep the developer's home, keys, agent and git settings out."""
    for name in tuple(os.environ):
        if name.startswith(("SSH_", "SANDBOX_", "GIT_", "XDG_")):
            del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="agent-eval-home-") as home:
        os.environ |= {
            "HOME": home,
            "XDG_CONFIG_HOME": f"{home}/.config",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        yield
