"""Environment variables, read into layers. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from sandbox_ops.config.schema import (
    FLEET,
    KEYS,
    NOTIFY,
    SECRETS,
    SSH_VARIABLES,
    VARIABLES,
    Key,
)
from sandbox_ops.config.sources import (
    ENVIRONMENT,
    Layer,
    SettingValue,
    Source,
    not_for_projects,
    wrong_value,
)

OPS_VARIABLES = {key.variable: key for key in KEYS}


def from_environment(
    environ: Mapping[str, str],
    *,
    ssh_names: bool,
    folder: str = "/",
    home: str = "",
) -> tuple[Layer, ...]:
    """Read our variables; the later layer wins.

    Args:
        environ: The environment.
        ssh_names: Whether SSH_HOST, SSH_PORT and SSH_KEY_PATH count: they do where no
            file describes a sandbox.
        folder: What relative paths start from.
        home: What `~` stands for.

    Raises:
        ConfigError: A variable has a value that its key does not take.
    """
    source = Source(name=ENVIRONMENT, folder=folder, home=home)
    texts = {
        name: SettingValue(value=environ[name], source=source, key=name)
        for name in VARIABLES
        if environ.get(name, "").strip()
    }
    layers = (layer(texts, SSH_VARIABLES), layer(texts, OPS_VARIABLES))
    return layers if ssh_names else layers[1:]


def layer(
    texts: Mapping[str, SettingValue], keys: Mapping[str, Key], user_file: str = ""
) -> Layer:
    """Return what variables say, their texts by their names.

    Raises:
        ConfigError: One has a value that its key does not take, or that its source may
            not set.
    """
    machine: dict[str, SettingValue] = {}
    project: dict[str, SettingValue] = {}
    secrets: dict[str, SettingValue] = {}
    fleet: dict[str, SettingValue] = {}
    default: SettingValue | None = None
    for name, key in keys.items():
        if name not in texts or not str(texts[name].value).strip():
            continue
        setting = _checked(key, texts[name], user_file)
        if key.path == "default":
            default = setting
        elif key.path in SECRETS:
            secrets[key.field] = setting
        elif key.path in (*FLEET, *NOTIFY):
            fleet[key.field] = setting
        elif key.path.startswith("project."):
            project[key.field] = setting
        else:
            machine[key.field] = setting
    return Layer(
        default=default,
        machine=machine,
        project=project,
        secrets=secrets,
        fleet=fleet,
    )


def _checked(key: Key, text: SettingValue, user_file: str) -> SettingValue:
    if key.user_only and not text.source.trusted:
        raise not_for_projects(text, key, user_file)
    try:
        value = key.from_text(str(text.value))
        if key.is_path:
            value = key.check(text.source.resolve(str(value)))
    except ValueError as error:
        hint = "Set it to something else, or unset it."
        raise wrong_value(text, key, error, hint) from error
    return replace(text, value=value)
