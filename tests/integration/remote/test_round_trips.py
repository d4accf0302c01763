"""What is waited for over a long line: how often a question crosses it. Counted, not timed."""

from collections.abc import Callable

from round_trips import far_away
from sshd import SshServer

from sandbox_ops import Sandbox
from sandbox_ops.machine import jobs, log_reading

Make = Callable[..., SshServer]


def test_what_is_asked_over_an_open_connection_takes_one_round_trip(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with far_away(server) as far, Sandbox(server.config()) as sandbox:
        command = sandbox.run("echo it; echo of it >&2").job.id
        ended = sandbox.start("echo it").id
        running = sandbox.start("echo it; exec sleep 600").id
        questions: dict[str, Callable[[], object]] = {
            "a command": lambda: sandbox.run("true"),
            "a command with output": lambda: sandbox.run("echo it; echo of it >&2"),
            "a start": lambda: sandbox.start("true"),
            "output of a job that runs": lambda: log_reading.read(sandbox, running),
            "output of a job that ended": lambda: log_reading.read(sandbox, ended),
            "output of a command": lambda: log_reading.read(sandbox, command),
            "output of the last job": lambda: log_reading.read(sandbox, "last"),
            "lines that match": lambda: log_reading.read(sandbox, ended, pattern="i"),
            "the jobs": lambda: jobs.recent(sandbox),
        }
        counted = {name: far.least(ask, 3) for name, ask in questions.items()}
        jobs.stop(sandbox, running, grace_s=1)
    assert counted == dict.fromkeys(questions, 1)


def test_a_new_connection_takes_fewer_round_trips_than_ssh(make_sshd: Make) -> None:
    """It does not wait for the reply to its command before it uses the session."""
    server = make_sshd()

    def connect() -> None:
        with Sandbox(server.config()) as sandbox:
            sandbox.run("true")

    with far_away(server) as far:
        ours, theirs = far.least(connect, 3), far.least(lambda: server.ssh("true"), 3)
    assert ours <= 7
    assert ours < theirs
