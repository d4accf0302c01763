"""A sandbox for one call of a verb, which the client may give up.

The verbs block, and know nothing of a client. So they get a sandbox that ends what they
wait for: a command of the user's (an install, a check) at once, with its whole tree. A
step of git is finished, whatever it is, and nothing more is begun after it.
"""

import threading
from typing import TYPE_CHECKING, Any

from sandbox_ops.errors import SandboxError

if TYPE_CHECKING:
    from sandbox_ops.engines.foreground import Call
    from sandbox_ops.models import CommandResult
    from sandbox_ops.sandbox import Sandbox

_BEGIN = frozenset({"script", "start", "submit"})


class Stoppable:
    """Stands for a sandbox: all that is not here is the sandbox's own.

    Args:
        sandbox: Which does the work; others may use it meanwhile.
    """

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._lock = threading.Lock()
        self._given_up = False
        self._running: Call | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - as the sandbox has it
        if name in _BEGIN:
            self._refuse_given_up()
        return getattr(self._sandbox, name)

    def run(self, command: str, **options: Any) -> "CommandResult":  # noqa: ANN401
        """Run a command as the sandbox does, until it ends or is given up."""
        self._refuse_given_up()
        call = self._sandbox.submit(command, **options)
        with self._lock:
            self._running = call
            is_late = self._given_up
        if is_late:
            call.cancel()
        return call.future.result()

    def give_up(self) -> None:
        """End what the verb waits for, and let it begin nothing more."""
        with self._lock:
            self._given_up = True
            running = self._running
        if running:
            running.cancel()

    def _refuse_given_up(self) -> None:
        if self._given_up:
            raise SandboxError("the client gave this call up")
