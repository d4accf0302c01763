"""The verbs about machines themselves: which there are, a terminal, a login that asks."""

import os
import shlex
from pathlib import Path
from types import ModuleType

from invoke import Context

from sandbox_ops.cli import output
from sandbox_ops.cli.face import Answer, verb
from sandbox_ops.cli.session import opened, opened_all
from sandbox_ops.errors import UsageError


@verb("changes", no_env="Without what `setup` made there, and the project's variables.")
def shell(context: Context, *, no_env: bool = False, sandbox: str = "") -> Answer:
    """Open a terminal on the machine, in the project's folder."""
    from sandbox_ops.machine import shell as terminal

    with opened(context, sandbox) as machine:
        project = None if no_env else machine.known_project
        program = terminal.in_project(machine.sandbox, project) if project else ""
        code = terminal.enter(machine.sandbox.config, machine.folder(""), program)
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


@verb(
    "changes",
    add="Describe this sandbox in your own config.toml; with --host or --link.",
    host="Of --add: an ssh_config alias, host, user@host or user@host:port.",
    workspace="Of --add: the folder there in which projects live.",
    link="Of --add: openssh, local, or a command that leads to a shell.",
    remove="Take this sandbox out of your own config.toml; the machine stays as it is.",
    import_="Describe the hosts of ~/.ssh/config that fit: gpu*; -: named on stdin.",
)
def sandboxes(
    context: Context,
    *,
    add: str = "",
    host: str = "",
    workspace: str = "",
    link: str = "",
    remove: str = "",
    import_: str = "",
    json: bool = False,
) -> Answer:
    """List your sandboxes and how each is; or add, remove or import some."""
    from sandbox_ops.cli import own_machines, terminal, views
    from sandbox_ops.guard.reliability import ReliabilityFile
    from sandbox_ops.workflows.sandboxes import sandboxes as work

    if add or remove or import_:
        file, names = _changed(
            own_machines, add, remove, import_, host, workspace, link
        )
        done = {"file": str(file), "add": add, "remove": remove, "import": import_}
        what = "" if remove else f"{', '.join(names)} described\n"
        return Answer(value=done, show=lambda: output.write(f"{what}wrote {file}\n"))
    if host or workspace or link:
        raise UsageError("--host, --workspace and --link go with --add NAME")
    with opened_all(context, "") as machines, terminal.busy("asking all", quiet=json):
        report = work(machines, ReliabilityFile(os.environ))
    return Answer.of(report, lambda: views.sandboxes(report))


def _changed(
    machines: ModuleType,
    add: str,
    remove: str,
    import_: str,
    host: str,
    workspace: str,
    link: str,
) -> tuple[Path, tuple[str, ...]]:
    """Change the user's own file; return it, and the names of the machines."""
    if sum(map(bool, (add, remove, import_))) > 1:
        raise UsageError("one of --add, --remove and --import at a time")
    if remove:
        return Path(machines.remove(remove)), (remove,)
    if import_:
        known = machines.hosts_of_ssh_config(Path("~/.ssh/config").expanduser())
        hosts = machines.imported(import_, known)
        return Path(machines.add({name: {"host": name} for name in hosts})), tuple(
            hosts
        )
    if not host and not link:
        raise UsageError(
            f"--add {add} needs --host, or --link",
            f"for example: sandboxes --add {add} --host me@gpu1",
        )
    values: dict[str, object] = {"host": host} if host else {}
    if workspace:
        values["workspace"] = workspace
    if link:
        command_words = shlex.split(link)
        values["link"] = {"command": command_words} if len(command_words) > 1 else link
    return Path(machines.add({add: values})), (add,)
