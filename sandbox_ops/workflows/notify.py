"""Tells people that a job ended or looks wrong: a command here, a webhook, the desktop.

Each target gets a thing once, from one of the clients: the right to send is claimed on
the machine, beside the job. What is sent is our own words and the job's facts, cleaned
and masked. A target that does not answer is tried a few times and then given up: it
never holds up the job, nor for long a client that waits.
"""

import hashlib
import queue
import threading
import time
from collections.abc import Callable, Iterator

from sandbox_ops.errors import ConfigError, SandboxError
from sandbox_ops.guard import this_user
from sandbox_ops.machine import own_scripts
from sandbox_ops.machine.sandbox import Sandbox
from sandbox_ops.models import Job, JobState
from sandbox_ops.models.closing import Closing
from sandbox_ops.models.events import Event, EventKind
from sandbox_ops.models.notifications import (
    DEFAULT_KINDS,
    Notification,
    NotifySettings,
)
from sandbox_ops.text import remote_text
from sandbox_ops.workflows import notify_targets

_CLOSE_S = 15.0
ENDED = "it has ended already"

Warn = Callable[[str], None]


class Notifier(Closing):
    """Tells of events, in a thread of its own; use it in a `with`.

    Args:
        settings: Whom to notify.
        warn: Called with what could not be sent.

    Raises:
        ConfigError: No target is configured.
    """

    def __init__(self, settings: NotifySettings, warn: Warn) -> None:
        if not settings.is_configured:
            raise ConfigError(
                "--notify has no target: nothing is set below [notify]",
                "In your own config.toml: [notify] and command, webhook or desktop below it",
            )
        notify_targets.check_webhook(settings)
        self._settings, self._warn = settings, warn
        self._todo: queue.Queue[tuple[Sandbox, Event] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
        self._thread.start()

    def tell(self, sandbox: Sandbox, event: Event) -> None:
        """Tell of an event, if the user wants to hear of its kind. Returns at once."""
        if wants(self._settings, event):
            self._todo.put((sandbox, event))

    def ended(self, sandbox: Sandbox, job: Job) -> None:
        """Tell that a job has ended. Returns at once."""
        if job.state.ended:
            self.tell(sandbox, ended_event(sandbox.config.name, job))

    def close(self) -> None:
        """Wait a while until all is sent."""
        self._todo.put(None)
        self._thread.join(_CLOSE_S)
        if self._thread.is_alive():
            self._warn("a notification was not sent in time, and is given up")

    def _work(self) -> None:
        while (todo := self._todo.get()) is not None:
            sandbox, event = todo
            try:
                self._send(sandbox, event)
            except Exception as error:  # noqa: BLE001 - a waiting client goes on
                self._warn(f"a notification could not be sent: {error}")

    def _send(self, sandbox: Sandbox, event: Event) -> None:
        targets = dict(_targets(self._settings, event))
        claimed = claim(sandbox, event, tuple(targets))
        note = notification(event)
        failed = []
        for key in claimed:
            problem = targets[key](note)
            if problem:
                failed.append(key)
                self._warn(f"a notification could not be sent: {problem}")
        if failed:
            _free(sandbox, event, failed)


def _targets(
    settings: NotifySettings, event: Event
) -> Iterator[tuple[str, Callable[[Notification], str]]]:
    """Yield who is to be notified, by the key under which it is claimed."""
    if settings.webhook:
        key = webhook_key(settings, str(event.kind))
        yield key, lambda note: notify_targets.post(settings, note)
    user_name = this_user.name()
    if settings.command:
        key = _key(event.kind, user_name, settings.command)
        yield key, lambda note: notify_targets.run(settings.command, note)
    if settings.desktop:
        yield _key(event.kind, user_name, "desktop"), notify_targets.show


def webhook_key(settings: NotifySettings, kind: str) -> str:
    """Return what a webhook is claimed under: the same from everywhere. Pure."""
    return _key(kind, "webhook", settings.webhook)


def _key(*parts: str) -> str:
    return f"{parts[0]}-{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:16]}"


def claim(sandbox: Sandbox, event: Event, keys: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of the keys are ours to send; all where that is not known."""
    if event.job is None:
        return keys
    try:
        folder = f"{sandbox.base}/jobs/{event.job}"
        reply = own_scripts.ask(
            sandbox, "notify_claim", "take", folder, *keys, doing="claim a message"
        )
    except SandboxError:  # gone meanwhile, or a machine that may only be read
        return keys
    claimed = set(reply.all("claimed"))
    return tuple(key for key in keys if key in claimed)


def _free(sandbox: Sandbox, event: Event, keys: list[str]) -> None:
    if event.job is None:
        return
    folder = f"{sandbox.base}/jobs/{event.job}"
    own_scripts.ask(
        sandbox, "notify_claim", "free", folder, *keys, doing="free a message"
    )


def wants(settings: NotifySettings, event: Event) -> bool:
    """Whether the user wants to hear of an event. Pure."""
    kinds = settings.events or DEFAULT_KINDS
    if str(event.kind) in kinds:
        return True
    return event.kind is EventKind.ENDED and "failed" in kinds and _is_bad(event)


def _is_bad(event: Event) -> bool:
    if event.kind is EventKind.ENDED:
        return event.state != str(JobState.SUCCEEDED)
    return event.kind in {EventKind.WARNING, EventKind.UNREACHABLE}


def notification(event: Event) -> Notification:
    """Return an event as a message: safe to show, without secrets. Pure."""
    who = event.name or event.job or ""
    title = f"{event.sandbox}: {who} {_words(event)}".replace(":  ", ": ")
    lines = [event.message]
    if event.job and event.name:
        lines.append(event.job)
    facts = {k: v for k, v in event.as_json().items() if k != "cursor"}
    return Notification(
        title=remote_text.safe_line(title),
        text="\n".join(remote_text.safe_line(line) for line in lines if line),
        facts={str(k): remote_text.safe_value(v) for k, v in facts.items()},
        is_bad=_is_bad(event),
    )


def _words(event: Event) -> str:
    if event.kind is EventKind.ENDED:
        return event.state or "ended"
    return {EventKind.WARNING: "looks wrong"}.get(event.kind, str(event.kind))


def ended_event(sandbox: str, job: Job) -> Event:
    """Return the event that a job has ended. Pure."""
    return Event(
        at=time.time(),
        kind=EventKind.ENDED,
        sandbox=sandbox,
        job=job.id,
        name=job.name or None,
        state=str(job.state),
        exit_code=job.exit_code,
        message=job.words,
    )


def arm(sandbox: Sandbox, job: Job, settings: NotifySettings) -> str:
    """Have the machine itself post that a job has ended; return why it cannot, or "".

    The webhook is kept there in a private file until then, and is in no argument list,
    record or log. A connected client may send it first: it is sent once.
    """
    if not settings.webhook:
        return "no webhook is set below [notify], and it has no other way to tell"
    notify_targets.check_webhook(settings)
    name = job.name or job.id
    note = Notification(
        title=remote_text.safe_line(f"{sandbox.config.name}: {name} @STATE@"),
        text=job.id if job.name else "",
        facts=ended_facts(sandbox.config.name, job),
    )
    body, headers = notify_targets.request(settings, note)
    key = webhook_key(settings, str(EventKind.ENDED))
    lines = [key, settings.webhook, *(f"{k}: {v}" for k, v in headers.items()), ""]
    text = "\n".join([*lines, body.decode()])
    reply = own_scripts.ask(
        sandbox,
        "notify_arm",
        job.log_path.rpartition("/")[0],
        doing="have it notify",
        env={"SANDBOX_OPS_NOTIFY": text},
    )
    if reply.get("sender") == "no":
        return "it has neither curl nor GNU wget"
    return ENDED if reply.get("ended") == "yes" else ""


def ended_facts(sandbox: str, job: Job) -> dict[str, object]:
    """Return what the machine itself can say of a job's end. Pure."""
    return {
        "event": str(EventKind.ENDED),
        "sandbox": sandbox,
        "job": job.id,
        "name": job.name or None,
        "message": "@STATE@",
    }
