"""A connection that waits for the next command, with a session ready for it."""

import os
import signal
from collections.abc import Callable

import pytest
from round_trips import far_away
from sshd import SshServer

from sandbox_ops.links import LinkError
from sandbox_ops.remote import scripts
from sandbox_ops.ssh.channel import ChannelLink
from sandbox_ops.ssh.kept_connection import KeptConnection

Make = Callable[..., SshServer]


def test_a_session_is_ready_before_it_is_known_that_the_machine_still_answers(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    with far_away(server, one_way_s=0.2) as far:
        kept = KeptConnection(server.config(), "facts")
        with kept.connection:
            kept.connection.connect()
            kept.prepare()

            def take() -> None:
                kept.verify()
                assert kept.open_link(scripts.bootstrap("worker")).is_open

            assert far.count(take) == 0


def _is_ended(link: ChannelLink) -> bool:
    """Whether a session ends within 10 s, whether or not its command had begun to read."""
    try:
        link.send(b"what nobody reads")
        return not link.receive(10)
    except LinkError:  # its sshd was stopped before it said how much it takes
        return True


def test_who_took_a_session_of_a_machine_that_does_not_answer_is_told(
    make_sshd: Make,
) -> None:
    server = make_sshd()
    kept = KeptConnection(server.config(), "facts")
    with kept.connection:
        kept.connection.connect()
        kept.prepare()
        frozen = server.session_pids()
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        kept.verify()
        link = kept.open_link(scripts.bootstrap("worker"))
        # after 2 s, and not when it is given up as dead
        assert _is_ended(link)
        assert kept.is_silent
        with pytest.raises(LinkError, match="does not answer"):
            kept.open_link(scripts.bootstrap("worker"))
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
