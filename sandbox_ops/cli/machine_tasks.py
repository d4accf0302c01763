"""The verbs about one machine by itself: a terminal on it, and a login that asks."""

from invoke import Context

from sandbox_ops.cli import output
from sandbox_ops.cli.face import Answer, verb
from sandbox_ops.cli.session import opened


@verb("changes")
def shell(context: Context, *, sandbox: str = "") -> Answer:
    """Open a terminal on the machine, in the project's folder."""
    from sandbox_ops.machine import shell as terminal

    with opened(context, sandbox) as machine:
        code = terminal.enter(machine.sandbox.config, machine.folder(""))
    return Answer(value={}, exit_code=code)


@verb("changes")
def login(context: Context, *, sandbox: str = "", json: bool = False) -> Answer:  # noqa: ARG001 - the answer's
    """Let ssh ask for a password or a second factor now, for all that follows."""
    from sandbox_ops.machine import shell as terminal

    with opened(context, sandbox) as machine:
        config = machine.sandbox.config
        opened_now = terminal.login(config)
    value = {"sandbox": config.name, "host": config.host, "opened": opened_now}
    what = "logged in" if opened_now else "was logged in already"
    text = f"{config.label}: {what}; the connection stays until `sandbox-ops logout`\n"
    return Answer(value=value, show=lambda: output.write(text))


@verb("changes")
def logout(context: Context, *, sandbox: str = "", json: bool = False) -> Answer:  # noqa: ARG001 - the answer's
    """End the connection that `login` opened. Jobs go on."""
    from sandbox_ops.machine import shell as terminal

    with opened(context, sandbox) as machine:
        config = machine.sandbox.config
        ended = terminal.logout(config)
    value = {"sandbox": config.name, "host": config.host, "ended": ended}
    what = "logged out" if ended else "was not logged in"
    return Answer(value=value, show=lambda: output.write(f"{config.label}: {what}\n"))
