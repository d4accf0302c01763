"""The libraries that only the demo needs, and the one command that installs them."""

from importlib.util import find_spec

from sandbox_ops.config import installation
from sandbox_ops.errors import NotFoundError

_MODULES = {"asyncssh": "asyncssh", "plotext": "plotext", "pillow": "PIL"}


def require() -> None:
    """Go on only if they are installed.

    Raises:
        NotFoundError: One is not; says what to type.
    """
    missing = [name for name, module in _MODULES.items() if not find_spec(module)]
    if missing:
        command = installation.current().add("demo", tuple(_MODULES))
        raise NotFoundError(
            f"the demo needs {', '.join(missing)}, which is not installed",
            f"Install it: {command}",
        )
