"""The verb about the agent processes that keep connections."""

import os
from typing import TYPE_CHECKING, Any

from invoke import Context

from sandbox_ops.cli import output
from sandbox_ops.cli.face import Answer, verb
from sandbox_ops.errors import NextStep, RefusedError

if TYPE_CHECKING:
    from sandbox_ops.workflows.doctor_checks import Check

_PRIVATE = "Remove that folder, or make it yours alone: chmod 700"
_ANSWER_S = 5.0


@verb("changes", stop="End them; the next command opens a new connection.")
def agent(context: Context, *, stop: bool = False, json: bool = False) -> Answer:  # noqa: ARG001 - Invoke's, and the answer's
    """Show the processes that keep connections for the next command, or end them."""
    agents = _ask_all("stop" if stop else "status")

    def show() -> None:
        for each in agents:
            ended = "ended" if stop else f"used by {each['clients']} now"
            output.write(f"{each['host']}: process {each['pid']}, {ended}\n")
        if not agents:
            output.write("no connection is kept\n")

    return Answer(value={"agents": agents, "stopped": stop}, show=show)


def kept_connections() -> "Check":
    """Return what `doctor` says of them."""
    from sandbox_ops.workflows.doctor_checks import Check

    try:
        each = [f"{a['host']} (process {a['pid']})" for a in _ask_all("status")]
    except RefusedError as error:
        detail = f"none can be: {error.message}"
        return Check(
            name="kept connections", result="warn", detail=detail, hints=(_PRIVATE,)
        )
    end = f"; end them: {NextStep('agent', {'stop': True}).command}"
    detail = f"{', '.join(each)}{end}" if each else "none"
    return Check(name="kept connections", result="ok", detail=detail)


def _ask_all(what: str) -> list[dict[str, Any]]:
    """Ask each process of ours; those that are gone are left out."""
    from sandbox_ops.links import LinkError, agent_files

    answers = []
    try:
        for path in agent_files.sockets(agent_files.runtime_folder(os.environ)):
            sock = agent_files.reach(path)
            if sock is None:
                continue
            with sock:
                sock.settimeout(_ANSWER_S)
                try:
                    agent_files.send_message(sock, {"op": what})
                    answers.append(agent_files.receive_message(sock))
                except (LinkError, OSError) as error:
                    output.write(f"{path}: {error}\n", "stderr")
    except agent_files.UnusableError as error:
        raise RefusedError(str(error)) from error
    return answers
