"""The registration of our MCP server in a project, which sets variables for it. Pure.

It is a file of the project, and says no more than a sandbox.toml may: no keys, and of
this computer's variables it is given none but HOME and USER. A host `${TOKEN}.example`
would send the token out with its name look-up.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from sandbox_ops.config.schema import SSH_VARIABLES, VARIABLES
from sandbox_ops.config.sources import Layer, SettingValue, Source
from sandbox_ops.config.variables import OPS_VARIABLES, layer
from sandbox_ops.errors import ConfigError

# One of these in the command or the arguments of an MCP entry: it starts our server.
_OUR_SERVER = ("sandbox-ops-mcp", "mcp_adapter")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_GIVEN_OUT = ("HOME", "USER")


def from_registration(
    source: Source, environ: Mapping[str, str], user_file: str = ""
) -> tuple[Layer, ...]:
    """Read the variables that a .mcp.json sets for our own server; the later layer wins.

    Where several entries start our server with different variables, they describe
    several machines: then the environment must say which.

    Args:
        source: The file, with its text.
        environ: A variable that is set here is not read from the file.
        user_file: Where a project's user has a file of their own, for messages.

    Raises:
        ConfigError: It is not JSON; a variable has a value that its key does not take,
            or may not come from a project, or asks for another variable; or its entries
            describe several machines.
    """
    blocks = {name: block for name, block in _our_blocks(source) if block}
    if len({json.dumps(block, sort_keys=True) for block in blocks.values()}) > 1:
        if any(environ.get(name) for name in ("SSH_HOST", "SANDBOX_OPS_HOST")):
            return ()
        raise ConfigError(
            f"{source.name}: {len(blocks)} entries start our server, for different "
            f"machines: {', '.join(blocks)}",
            "Say which one is meant: export SSH_HOST=..., or describe them all in a "
            "sandbox.toml.",
        )
    if not blocks:
        return ()
    texts = {
        variable: _expanded(
            SettingValue(
                value=value, source=source, key=f"mcpServers.{name}.env.{variable}"
            ),
            variable,
            environ,
        )
        for name, block in blocks.items()
        for variable, value in block.items()
        if not environ.get(variable, "").strip()
    }
    return (
        layer(texts, SSH_VARIABLES, user_file),
        layer(texts, OPS_VARIABLES, user_file),
    )


def _our_blocks(source: Source) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name, and our variables, of every entry that starts our server."""
    try:
        tree = json.loads(source.text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{source.name}: not JSON: {error}",
            "Correct it, or describe the machine in a sandbox.toml.",
        ) from error
    servers = tree.get("mcpServers") if isinstance(tree, dict) else None
    for name, entry in servers.items() if isinstance(servers, dict) else ():
        block = entry.get("env") if isinstance(entry, dict) else None
        # The file belongs to other tools: what is not an entry as we know it is theirs.
        if isinstance(block, dict) and _is_ours(entry):
            ours = {key: str(block[key]) for key in VARIABLES if key in block}
            yield name, ours


def _is_ours(entry: Mapping[str, object]) -> bool:
    arguments = entry.get("args")
    command_line = [
        entry.get("command"),
        *(arguments if isinstance(arguments, list) else []),
    ]
    return any(ours in str(word) for ours in _OUR_SERVER for word in command_line)


def _expanded(
    text: SettingValue, variable: str, environ: Mapping[str, str]
) -> SettingValue:
    """Expand `${HOME}`, `${USER}`, and the variable's own name, which is not set."""

    def value(reference: re.Match[str]) -> str:
        name, default = reference[1], reference[2]
        if name == variable:
            return default or ""
        if name not in _GIVEN_OUT:
            raise ConfigError(
                f"{text.where} asks for ${{{name}}}: a project's file is given no "
                f"variables but {' and '.join(_GIVEN_OUT)}",
                f"Set the value yourself: export {variable}=...",
            )
        return environ.get(name) or default or ""

    return replace(text, value=_REFERENCE.sub(value, str(text.value)))
