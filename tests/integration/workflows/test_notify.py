"""Notifications, with a real HTTP server and real commands: once, and never a secret."""

import contextlib
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from mounts import private_mounts
from sshd import SshServer
from waiting import wait_until

from sandbox_ops import Sandbox
from sandbox_ops.errors import ConfigError
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job
from sandbox_ops.models.events import Event, EventKind
from sandbox_ops.models.notifications import NotifySettings
from sandbox_ops.text import remote_text
from sandbox_ops.workflows import notify, notify_targets
from sandbox_ops.workflows.notify import Notifier

MakeSshd = Callable[..., SshServer]
TOPIC = "topic-93af71c0de55"


@dataclass
class Webhook:
    """A real web server, and what was posted to it."""

    port: int
    answers: list[int] = field(default_factory=list)
    posts: list[tuple[str, dict[str, str], str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{TOPIC}"

    def settings(self, **changes: object) -> NotifySettings:
        return NotifySettings(webhook=self.url, **changes)  # type: ignore[arg-type]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    found: list[Webhook] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["Content-Length"])
            body = self.rfile.read(size).decode()
            found[0].posts.append((self.path, dict(self.headers), body))
            code = found[0].answers.pop(0) if found[0].answers else 200
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.append(Webhook(server.server_address[1]))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield found[0]
        server.shutdown()


def finished(sandbox: Sandbox, command: str = "exit 3", name: str = "night") -> Job:
    job = sandbox.start(command, name=name)
    return jobs.wait(sandbox, job.id, timeout_s=20)


@contextlib.contextmanager
def notifier(settings: NotifySettings) -> Iterator[tuple[Notifier, list[str]]]:
    warnings: list[str] = []
    with Notifier(settings, warnings.append) as telling:
        yield telling, warnings


def test_a_webhook_hears_of_an_end_once_however_many_are_connected(
    shared_sandbox: Sandbox, webhook: Webhook
) -> None:
    job = finished(shared_sandbox)
    for _ in range(3):
        with notifier(webhook.settings()) as (telling, warnings):
            telling.ended(shared_sandbox, job)
            telling.ended(shared_sandbox, job)
    assert warnings == []
    ((path, headers, body),) = webhook.posts
    assert path == f"/{TOPIC}"
    assert headers["Content-Type"] == "application/json"
    value = json.loads(body)
    assert value["title"] == "test: night failed"
    assert (value["job"], value["exit_code"], value["event"]) == (job.id, 3, "ended")


@pytest.mark.parametrize(
    ("shape", "read"),
    [
        ("slack", lambda body, _: json.loads(body)["text"]),
        ("discord", lambda body, _: json.loads(body)["content"]),
        ("ntfy", lambda body, headers: f"{headers['Title']}\n{body}"),
    ],
)
def test_each_service_gets_the_shape_that_it_takes(
    shared_sandbox: Sandbox,
    webhook: Webhook,
    shape: str,
    read: Callable[[str, dict[str, str]], str],
) -> None:
    job = finished(shared_sandbox)
    with notifier(webhook.settings(format=shape)) as (telling, _):
        telling.ended(shared_sandbox, job)
    ((_, headers, body),) = webhook.posts
    assert read(body, headers).startswith("test: night failed\nfailed (exit code 3)")


def test_the_service_is_known_by_its_address() -> None:
    for url, shape in [
        ("https://ntfy.sh/x", "ntfy"),
        ("https://hooks.slack.com/services/x", "slack"),
        ("https://discord.com/api/webhooks/x", "discord"),
        ("https://example.com/x", "json"),
    ]:
        assert notify_targets.format_of(NotifySettings(webhook=url)) == shape


def test_a_webhook_that_fails_is_tried_again_and_then_given_up(
    shared_sandbox: Sandbox, webhook: Webhook
) -> None:
    job = finished(shared_sandbox)
    webhook.answers = [500, 503]
    with notifier(webhook.settings()) as (telling, warnings):
        telling.ended(shared_sandbox, job)
    assert (len(webhook.posts), warnings) == (3, [])
    other = finished(shared_sandbox)
    webhook.answers = [404]
    with notifier(webhook.settings()) as (telling, warnings):
        telling.ended(shared_sandbox, other)
    assert len(webhook.posts) == 4
    assert warnings == ["a notification could not be sent: the webhook answered 404"]
    with notifier(webhook.settings()) as (telling, warnings):
        telling.ended(shared_sandbox, other)  # the next client may
    assert (len(webhook.posts), warnings) == (5, [])


def test_a_dead_webhook_is_said_without_its_address(shared_sandbox: Sandbox) -> None:
    job = finished(shared_sandbox)
    dead = NotifySettings(webhook=f"http://127.0.0.1:9/{TOPIC}")
    began = time.monotonic()
    with notifier(dead) as (telling, warnings):
        telling.ended(shared_sandbox, job)
    assert time.monotonic() - began < 20
    (warning,) = warnings
    assert "cannot be reached" in warning
    assert TOPIC not in warning
    with pytest.raises(ConfigError) as caught:
        Notifier(NotifySettings(webhook=f"file:///{TOPIC}"), print)
    assert TOPIC not in str(caught.value) + caught.value.hint


def test_a_command_has_the_message_in_variables_and_as_json(
    shared_sandbox: Sandbox, tmp_path: Path
) -> None:
    job = finished(shared_sandbox, name="it's $(touch hacked)")
    out = tmp_path / "out"
    command = (
        f'printf "%s|%s|" "$SANDBOX_OPS_TITLE" "$SANDBOX_OPS_JOB" >{out}; cat >>{out}'
    )
    settings = NotifySettings(command=command)
    with notifier(settings) as (telling, warnings):
        telling.ended(shared_sandbox, job)
        telling.ended(shared_sandbox, job)
    assert warnings == []
    title, job_id, value = out.read_text().split("|")
    assert title == "test: it's $(touch hacked) failed"
    assert job_id == job.id
    assert json.loads(value)["state"] == "failed"


def test_a_command_that_fails_is_said(shared_sandbox: Sandbox) -> None:
    job = finished(shared_sandbox)
    with notifier(NotifySettings(command="exit 7")) as (telling, warnings):
        telling.ended(shared_sandbox, job)
    assert warnings == ["a notification could not be sent: the command ended with 7"]


def test_no_secret_and_no_escape_is_in_a_message() -> None:
    remote_text.protect({"TOKEN": "s3cr3t-canary-value"})
    event = Event(
        at=1.0,
        kind=EventKind.WARNING,
        sandbox="gpu1",
        job="remote-1",
        name="night",
        message="Traceback: s3cr3t-canary-value \x1b[31mred",
    )
    note = notify.notification(event)
    shown = json.dumps([note.title, note.text, note.facts])
    assert "s3cr3t" not in shown
    assert "\\u001b" not in shown
    assert "night looks wrong" in note.title


def test_only_what_the_user_wants_to_hear_is_told() -> None:
    def event(kind: EventKind, state: str = "") -> Event:
        return Event(at=1.0, kind=kind, sandbox="gpu1", job="remote-1", state=state)

    default, failures = NotifySettings(), NotifySettings(events=("failed",))
    assert notify.wants(default, event(EventKind.ENDED, "succeeded"))
    assert notify.wants(default, event(EventKind.WARNING))
    assert not notify.wants(default, event(EventKind.STARTED))
    assert not notify.wants(failures, event(EventKind.ENDED, "succeeded"))
    assert notify.wants(failures, event(EventKind.ENDED, "lost"))
    assert not notify.wants(failures, event(EventKind.WARNING))


# -- by the machine itself ------------------------------------------------------------


def armed(sandbox: Sandbox, settings: NotifySettings, command: str) -> Job:
    job = sandbox.start(command, name="night")
    assert notify.arm(sandbox, job, settings) == ""
    return job


@pytest.mark.parametrize("shape", ["json", "slack", "discord", "ntfy"])
def test_the_machine_itself_tells_with_nobody_connected(
    make_sshd: MakeSshd, webhook: Webhook, tmp_path: Path, shape: str
) -> None:
    flag = tmp_path / "go"
    with Sandbox(make_sshd().config()) as sandbox:
        command = f"until [ -e {flag} ]; do sleep 0.1; done; exit 3"
        job = armed(sandbox, webhook.settings(format=shape), command)
        folder = Path(job.log_path).parent
        assert (folder / "notify").stat().st_mode & 0o777 == 0o600
    flag.write_text("")
    wait_until(lambda: webhook.posts, 30)
    ((path, headers, body),) = webhook.posts
    assert path == f"/{TOPIC}"
    both = headers.get("Title", "") + body
    assert "test: night " in both
    assert "failed (exit code 3)" in both
    if shape != "ntfy":
        assert json.loads(body)
    wait_until(lambda: not (folder / "notify").exists())
    for file in folder.rglob("*"):
        if file.is_file():
            assert TOPIC not in file.read_bytes().decode("utf-8", "replace"), file


def test_the_machine_and_a_client_tell_once_between_them(
    shared_sandbox: Sandbox, webhook: Webhook
) -> None:
    job = armed(shared_sandbox, webhook.settings(), "sleep 0.5")
    ended = jobs.wait(shared_sandbox, job.id, timeout_s=20)
    with notifier(webhook.settings()) as (telling, _):
        telling.ended(shared_sandbox, ended)
    folder = Path(job.log_path).parent
    wait_until(lambda: not (folder / "notify").exists(), 20)
    assert len(webhook.posts) == 1


def test_the_address_is_in_no_argument_list_and_no_record(
    make_sshd: MakeSshd, webhook: Webhook
) -> None:
    server = make_sshd()
    seen: list[str] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for line in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    words = line.read_bytes().decode("utf-8", "replace")
                    if TOPIC in words:
                        seen.append(words)

    looker = threading.Thread(target=look)
    looker.start()
    with Sandbox(server.config()) as sandbox:
        job = armed(sandbox, webhook.settings(), "sleep 0.5")
        jobs.wait(sandbox, job.id, timeout_s=20)
        wait_until(lambda: webhook.posts, 20)
        folder = Path(job.log_path).parent
        wait_until(lambda: not (folder / "notify").exists())
    over.set()
    looker.join()
    assert seen == []
    for file in server.home.rglob("*"):
        if file.is_file():
            assert TOPIC not in file.read_bytes().decode("utf-8", "replace"), file


def test_a_dead_webhook_does_not_harm_the_job(shared_sandbox: Sandbox) -> None:
    dead = NotifySettings(webhook="http://127.0.0.1:9/nobody")
    job = armed(shared_sandbox, dead, "sleep 0.5; echo fine")
    ended = jobs.wait(shared_sandbox, job.id, timeout_s=20)
    assert (str(ended.state), ended.exit_code, ended.survivors) == ("succeeded", 0, 0)
    folder = Path(job.log_path).parent
    wait_until(lambda: not (folder / "notify").exists(), 60)
    assert list((folder / "notified").iterdir()) == [], "a connected client may send it"


def test_a_machine_without_curl_and_wget_says_so(
    make_sshd: MakeSshd, tmp_path: Path, webhook: Webhook
) -> None:
    import shutil

    with private_mounts() as mounts:
        hidden = tmp_path / "none"
        hidden.write_text("")
        for tool in ("curl", "wget"):
            if path := shutil.which(tool):
                mounts.bind(hidden, Path(path).resolve())
        server = mounts.do(make_sshd)
        with Sandbox(server.config()) as sandbox:
            job = sandbox.start("sleep 1")
            why = notify.arm(sandbox, job, webhook.settings())
            assert "neither curl nor GNU wget" in why
    assert webhook.posts == []
