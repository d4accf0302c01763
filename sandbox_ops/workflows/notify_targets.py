"""Who is notified: a webhook, a command of this computer, its desktop. A few tries each.

A failure is returned in words that hold no secret: never the address.
"""

import json
import os
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request

from sandbox_ops.errors import ConfigError
from sandbox_ops.models.notifications import Notification, NotifySettings

_TRIES = 3
_PAUSE_S = 1.0
_TIMEOUT_S = 10.0
_COMMAND_S = 30.0
_MOST_CHARACTERS = 1900  # Discord takes 2000
_TOO_MANY = 429
_SERVER_ERROR = 500


def check_webhook(settings: NotifySettings) -> None:
    """Refuse a webhook that is no http or https URL.

    Raises:
        ConfigError: It is none; does not show it.
    """
    if not settings.webhook:
        return
    parts = urllib.parse.urlsplit(settings.webhook)
    odd = set(settings.webhook) & set("\"\\ \n\r\t'`")
    if parts.scheme not in {"http", "https"} or not parts.hostname or odd:
        raise ConfigError(
            "`notify.webhook` is no http or https URL (it is not shown)",
            'For example: webhook = "https://ntfy.sh/my-own-topic"',
        )


def format_of(settings: NotifySettings) -> str:
    """Return how the webhook wants it: as configured, else by its address. Pure."""
    if settings.format:
        return settings.format
    host = urllib.parse.urlsplit(settings.webhook).hostname or ""
    if host == "hooks.slack.com":
        return "slack"
    if host in {"discord.com", "discordapp.com"}:
        return "discord"
    return "ntfy" if host == "ntfy.sh" or host.startswith("ntfy.") else "json"


def request(
    settings: NotifySettings, note: Notification
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers that say it. Pure."""
    shape = format_of(settings)
    if shape == "ntfy":
        title = note.title.encode("ascii", "replace").decode()
        headers = {"Title": title}
        if note.is_bad:
            headers |= {"Priority": "high", "Tags": "warning"}
        return (note.text or note.title).encode(), headers
    both = "\n".join(filter(None, (note.title, note.text)))[:_MOST_CHARACTERS]
    value: dict[str, object] = {"title": note.title, "text": note.text, **note.facts}
    if shape == "slack":
        value = {"text": both}
    elif shape == "discord":
        value = {"content": both, "allowed_mentions": {"parse": []}}
    return json.dumps(value).encode(), {"Content-Type": "application/json"}


def post(settings: NotifySettings, note: Notification) -> str:
    """Post it; return why that failed, or ""."""
    body, headers = request(settings, note)
    asked = urllib.request.Request(  # noqa: S310 - check_webhook saw that it is http(s)
        settings.webhook, body, headers, method="POST"
    )
    problem = ""
    for attempt in range(_TRIES):
        if attempt:
            threading.Event().wait(_PAUSE_S * attempt)
        try:
            with urllib.request.urlopen(asked, timeout=_TIMEOUT_S):  # noqa: S310
                return ""
        except urllib.error.HTTPError as error:
            problem = f"the webhook answered {error.code}"
            if error.code < _SERVER_ERROR and error.code != _TOO_MANY:
                break  # the same will be answered again
        except urllib.error.URLError as error:
            problem = f"the webhook cannot be reached: {type(error.reason).__name__}"
        except (OSError, ValueError) as error:
            problem = f"the webhook cannot be reached: {type(error).__name__}"
    return problem


def run(command: str, note: Notification) -> str:
    """Run the user's command; it has the message in variables and on stdin."""
    facts = {
        f"SANDBOX_OPS_{name.upper()}": str(value)
        for name, value in note.facts.items()
        if value is not None
    }
    env = {
        **os.environ,
        **facts,
        "SANDBOX_OPS_TITLE": note.title,
        "SANDBOX_OPS_TEXT": note.text,
    }
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input=json.dumps(note.facts).encode() + b"\n",
            env=env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_COMMAND_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"the command took longer than {_COMMAND_S:.0f} s"
    except OSError as error:
        return f"the command cannot be run: {error.strerror}"
    if done.returncode:
        return f"the command ended with {done.returncode}"
    return ""


def show(note: Notification) -> str:
    """Show it on the desktop, by what there is for that."""
    if shutil.which("notify-send"):
        argv = ["notify-send", "--app-name=sandbox-ops", "--", note.title, note.text]
    elif shutil.which("osascript"):
        script = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run"
        argv = ["osascript", "-e", script, note.title, note.text]
    else:
        return "there is neither notify-send nor osascript here for the desktop"
    try:
        done = subprocess.run(
            argv, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the desktop cannot be notified: {type(error).__name__}"
    return f"{argv[0]} ended with {done.returncode}" if done.returncode else ""
