"""Environment variables, and the MCP registration that sets them for our server."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from sandbox_ops.config.layers import Given, Layer, wrong_value
from sandbox_ops.config.schema import KEYS, SSH_VARIABLES, VARIABLES, Key, Value
from sandbox_ops.errors import ConfigError

_OPS_VARIABLES = {key.variable: key for key in KEYS}
# One of these in the command or the arguments of an MCP entry: it starts our server.
_OUR_SERVER = ("sandbox-ops-mcp", "mcp_adapter")
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
# A repository could name a host `${TOKEN}.example.org` and read the token from its DNS.
_SECRET = re.compile(r"SECRET|TOKEN|PASSW|CREDENTIAL|(API|ACCESS|PRIVATE)_?KEY")
_NOT_SENT = frozenset({"identity_file", "known_hosts", "ssh_config"})


def from_environment(
    environ: Mapping[str, str], *, ssh_names: bool
) -> tuple[Layer, ...]:
    """Read our variables; the later layer wins.

    Args:
        environ: The environment.
        ssh_names: Whether SSH_HOST, SSH_PORT and SSH_KEY_PATH count: they do where no
            file describes a sandbox.

    Raises:
        ConfigError: A variable has a value that its key does not take.
    """
    texts = {
        name: Given(environ[name], f"environment variable {name}")
        for name in VARIABLES
        if environ.get(name, "").strip()
    }
    layers = (_layer(texts, SSH_VARIABLES), _layer(texts, _OPS_VARIABLES))
    return layers if ssh_names else layers[1:]


def from_registration(
    text: str, source: str, repository: str, environ: Mapping[str, str]
) -> tuple[Layer, ...]:
    """Read the variables that a .mcp.json sets for our own server; the later layer wins.

    Where several entries start our server with different variables, they describe
    several machines: then the environment must say which.

    Args:
        text: The file's text.
        source: The file's name, for messages.
        repository: The folder of the project that the file belongs to.
        environ: What `${VAR}` stands for; a variable that is set here is not read.

    Raises:
        ConfigError: It is not JSON; a variable has a value that its key does not take,
            or a `${VAR}` that is not set or looks like a secret; or its entries
            describe several machines.
    """
    blocks = {name: block for name, block in _our_blocks(text, source) if block}
    if len({json.dumps(block, sort_keys=True) for block in blocks.values()}) > 1:
        if any(environ.get(name) for name in ("SSH_HOST", "SANDBOX_OPS_HOST")):
            return ()
        raise ConfigError(
            f"{source}: {len(blocks)} entries start our server, for different machines: "
            f"{', '.join(blocks)}",
            "Say which one is meant: export SSH_HOST=..., or describe them all in a "
            "sandbox.toml.",
        )
    if not blocks:
        return ()
    texts = {
        variable: _expanded(
            Given(value, f"{source}: `mcpServers.{name}.env.{variable}`", repository),
            variable,
            environ,
        )
        for name, block in blocks.items()
        for variable, value in block.items()
        if not environ.get(variable, "").strip()
    }
    return _layer(texts, SSH_VARIABLES), _layer(texts, _OPS_VARIABLES)


def _our_blocks(text: str, source: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name, and our variables, of every entry that starts our server."""
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"{source}: not JSON: {error}",
            "Mend it, or describe the machine in a sandbox.toml.",
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
    words = [entry.get("command"), *(arguments if isinstance(arguments, list) else [])]
    return any(ours in str(word) for ours in _OUR_SERVER for word in words)


def _expanded(text: Given, variable: str, environ: Mapping[str, str]) -> Given:
    """Expand `${VAR}` and `${VAR:-default}`."""

    def value(found: re.Match[str]) -> str:
        name, default = found[1], found[2]
        if _SECRET.search(name.upper()) and VARIABLES[variable].field not in _NOT_SENT:
            raise ConfigError(
                f"{text.where} asks for ${{{name}}}, which looks like a secret",
                "Set the value itself; a repository's file may not send secrets out.",
            )
        if environ.get(name):
            return environ[name]
        if default is None:
            raise ConfigError(
                f"{text.where} asks for ${{{name}}}, which is not set",
                f"Set it: export {name}=..., or give a default: ${{{name}:-...}}",
            )
        return default

    return replace(text, value=_REFERENCE.sub(value, str(text.value)))


def _layer(texts: Mapping[str, Given], keys: Mapping[str, Key]) -> Layer:
    machine: dict[str, Given] = {}
    project: dict[str, Given] = {}
    default: Given | None = None
    for name, key in keys.items():
        if name not in texts or not str(texts[name].value).strip():
            continue
        given = replace(texts[name], value=_value(key, texts[name]))
        if key.path == "default":
            default = given
        elif key.path.startswith("project."):
            project[key.field] = given
        else:
            machine[key.field] = given
    return Layer(default=default, machine=machine, project=project)


def _value(key: Key, text: Given) -> Value:
    try:
        return key.from_text(str(text.value))
    except ValueError as error:
        hint = "Set it to something else, or unset it."
        raise wrong_value(key, text.value, text.where, error, hint) from error
