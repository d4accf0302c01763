"""Holds a tunnel in the foreground: its address first, then what happens, to Ctrl-C."""

from concurrent import futures
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from sandbox_ops.cli import output, terminal
from sandbox_ops.cli.face import Answer, say
from sandbox_ops.errors import NextStep, UsageError
from sandbox_ops.models.cancellation import CancelToken
from sandbox_ops.workflows.tunnel import WantedTunnel, tunnel

if TYPE_CHECKING:
    from sandbox_ops.machine.sandbox import Sandbox
    from sandbox_ops.models import Project

_MOST_PORT = 65535
_LOOK_UP_S = 0.5


def wanted(
    port: str, local: str, *, tensorboard: bool, keep: bool, job: str = ""
) -> WantedTunnel:
    """Read the options. Pure.

    Raises:
        UsageError: There is no port, or it is none; or a job is named for a TensorBoard,
            which is a job of its own.
    """
    local_port = _port(local, "--local", least=0) if local else None
    if tensorboard and job:
        raise UsageError("--tensorboard is a job of its own: it takes no --job")
    if tensorboard:
        return WantedTunnel(
            local_port=local_port, with_tensorboard=True, logdir=port, keep=keep
        )
    if not port:
        raise UsageError(
            "`tunnel` needs the port there",
            NextStep("tunnel", {"port": 6006}, "For example"),
            NextStep("tunnel", {"tensorboard": True}, "Or start a TensorBoard"),
        )
    number = _port(port, "--port", least=1)
    return WantedTunnel(port=number, local_port=local_port, job=job)


def _port(text: str, option: str, *, least: int) -> int:
    number = int(text) if text.isascii() and text.isdecimal() else -1
    if not least <= number <= _MOST_PORT:
        raise UsageError(
            f"{option} takes a port from {least} to {_MOST_PORT}, not `{text}`",
            NextStep("tunnel", {"port": 6006}, "For example"),
        )
    return number


def hold(
    sandbox: "Sandbox", project: "Project", asked: WantedTunnel, *, as_json: bool
) -> Answer:
    """Hold it until Ctrl-C, which is its ordinary end.

    In a thread, so that Ctrl-C interrupts nothing half done, such as the stop of a
    TensorBoard.
    """
    cancel = CancelToken()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(_hold, sandbox, project, asked, cancel, as_json)
        try:
            while not held.done():
                futures.wait((held,), _LOOK_UP_S)  # without a bound it may miss Ctrl-C
        except KeyboardInterrupt:
            cancel.cancel()
            say("closing the tunnel")
        held.result()
    return Answer(value=None)


def _hold(
    sandbox: "Sandbox",
    project: "Project",
    asked: WantedTunnel,
    cancel: CancelToken,
    as_json: bool,
) -> None:
    with tunnel(sandbox, project, asked, say) as report:
        if as_json:
            output.write_json(report.as_json())
        else:
            there = f"the node of {report.job}" if asked.job else sandbox.config.label
            what = f"port {report.port} of {there}"
            if asked.with_tensorboard:
                what = f"{report.job} (TensorBoard)"
            warnings = (f"warning: {warning}" for warning in report.warnings)
            terminal.tell(f"{report.url}  ->  {what}", *warnings, "Ctrl-C ends it")
        report.watch(say, cancel)
