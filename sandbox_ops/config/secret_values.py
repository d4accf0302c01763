"""The values that are never shown: of the variables and files that the user names."""

from collections.abc import Mapping
from pathlib import Path

from sandbox_ops.config import env_file, files
from sandbox_ops.config.sources import SettingValue
from sandbox_ops.errors import ConfigError
from sandbox_ops.text import remote_text, secret_forms


def protect(
    named: tuple[SettingValue, ...],
    in_files: tuple[SettingValue, ...],
    environ: Mapping[str, str],
    webhooks: tuple[SettingValue, ...] = (),
) -> None:
    """Mask them from now on, in all that this process shows, logs and notes.

    Args:
        named: Lists of names of variables.
        in_files: Lists of files of `NAME=VALUE` lines: each value is a secret.
        environ: The environment. What is not set there cannot be masked, nor shown.
        webhooks: Addresses with which anyone can send.

    Raises:
        ConfigError: A value is too short to be masked, or a file cannot be read.
    """
    values: dict[str, str] = {}
    for setting in named:
        for name in _texts(setting):
            if environ.get(name, ""):
                values[name] = _checked(name, environ[name], setting)
    for setting in in_files:
        for path in _texts(setting):
            for name, value in of_file(Path(setting.source.resolve(path))).items():
                values[name] = _checked(name, value, setting)
    for setting in webhooks:
        values["notify.webhook"] = _checked(
            "notify.webhook", str(setting.value), setting
        )
    remote_text.protect(values)


def of_file(path: Path) -> dict[str, str]:
    """Return the variables that a file of the user's holds.

    Raises:
        ConfigError: It cannot be read, is not theirs, or is no such file.
    """
    try:
        return env_file.parse(files.read(path), str(path))
    except ValueError as error:
        raise ConfigError(str(error), "Write one NAME=VALUE a line.") from None


def _texts(setting: SettingValue) -> tuple[str, ...]:
    return setting.value if isinstance(setting.value, tuple) else ()


def _checked(name: str, value: str, setting: SettingValue) -> str:
    try:
        secret_forms.forms(name, value)
    except ConfigError as error:
        raise ConfigError(f"{setting.where}: {error.message}", *error.hints) from error
    return value
