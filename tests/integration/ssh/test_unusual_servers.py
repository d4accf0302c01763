"""What is no SSH server, or one with which nothing is shared: named, without a traceback.

Each is asked through the command line as a process, for what is on its stderr counts.
"""

import contextlib
import http.server
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import PIPE

import processes
import pytest
from command_line import PROGRAM, cli
from processes import Child
from sshd import SshServer
from waiting import wait_until

Make = Callable[..., SshServer]


@contextlib.contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Answer each connection to a port of loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    link, _ = listener.accept()
                    with link, contextlib.suppress(OSError):
                        answer(link)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def closes(link: socket.socket) -> None:
    """Close at once."""


def speaks_http(link: socket.socket) -> None:
    link.recv(1000)
    link.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\n\r\n<html></html>\r\n")


def speaks_smtp(link: socket.socket) -> None:
    link.sendall(b"220 mail.example.org ESMTP\r\n")
    link.recv(1000)


def stops_in_the_handshake(link: socket.socket) -> None:
    link.sendall(b"SSH-2.0-Broken_1.0\r\n" + b"\xff" * 100)
    link.recv(1000)


def hangs(link: socket.socket) -> None:
    link.recv(1000)
    with contextlib.suppress(TimeoutError):
        link.settimeout(20)
        link.recv(100_000)
        link.recv(1)


CASES = {
    "closes": (closes, "closed the connection before it was open"),
    "http": (
        speaks_http,
        "is not an SSH server: it answered 'HTTP/1.1 400 Bad Request'",
    ),
    "smtp": (
        speaks_smtp,
        "is not an SSH server: it answered '220 mail.example.org ESMTP'",
    ),
    "broken": (stops_in_the_handshake, "closed the connection before it was open"),
    "hangs": (hangs, "accepted the connection, then did not answer"),
}


def is_a_line_and_a_hint(text: str) -> bool:
    """Whether one line says what failed, and a hint of at most 80 columns follows."""
    error, *hint = text.splitlines()
    begins = ["hint: ", *["      "] * (len(hint) - 1)]
    return (
        error.startswith("error: ")
        and bool(hint)
        and all(map(str.startswith, hint, begins))
        and all(len(line) <= 80 for line in hint)
    )


@pytest.mark.parametrize(("answer", "words"), CASES.values(), ids=CASES.keys())
@pytest.mark.slow
def test_what_is_no_ssh_server_is_named_in_a_line_and_a_hint(
    answer: Callable[[socket.socket], None], words: str, tmp_path: Path
) -> None:
    with listening(answer) as port:
        env = {"SSH_HOST": "127.0.0.1", "SSH_PORT": str(port)}
        done = cli("run", "--", "true", cwd=tmp_path, env=env)
    assert done.returncode == 255
    assert words in done.stderr
    assert f"127.0.0.1:{port}" in done.stderr
    assert is_a_line_and_a_hint(done.stderr), done.stderr


def test_a_web_server_is_not_tried_again(tmp_path: Path) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            asked.append(1)
            super().handle()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    asked: list[int] = []
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        env = {"SSH_HOST": "127.0.0.1", "SSH_PORT": str(server.server_port)}
        done = cli("run", "--", "true", cwd=tmp_path, env=env)
        server.shutdown()
    assert "is not an SSH server" in done.stderr
    assert len(asked) == 1


def test_debug_shows_a_line_of_what_paramiko_held_an_error_and_no_traceback(
    tmp_path: Path,
) -> None:
    with listening(speaks_http) as port:
        env = {"SSH_HOST": "127.0.0.1", "SSH_PORT": str(port)}
        done = cli("--debug", "run", "--", "true", cwd=tmp_path, env=env)
    lines = [line for line in done.stderr.splitlines() if "paramiko" in line]
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("directive", "theirs", "ours"),
    [
        ("Ciphers", "chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com"),
        ("KexAlgorithms", "sntrup761x25519-sha512@openssh.com", "curve25519-sha256"),
        ("MACs", "umac-128-etm@openssh.com", "hmac-sha2-256-etm@openssh.com"),
    ],
)
def test_a_server_that_shares_no_algorithm_is_reported_with_both_sides_and_the_way(
    make_sshd: Make, tmp_path: Path, directive: str, theirs: str, ours: str
) -> None:
    more = "\nCiphers aes128-ctr" if directive == "MACs" else ""
    server = make_sshd(extra=f"{directive} {theirs}{more}")
    env = {
        "SANDBOX_OPS_SSH_CONFIG": str(server.ssh_config),
        "SANDBOX_OPS_KNOWN_HOSTS": str(server.known_hosts),
        "SSH_KEY_PATH": str(server.identity_file),
        "SSH_HOST": server.host,
        "SSH_PORT": str(server.port),
    }
    done = cli("run", "--", "true", cwd=tmp_path, env=env)
    assert done.returncode == 255
    assert f"{directive}: it offers {theirs}; here are " in done.stderr
    assert f"{directive} +{ours}" in done.stderr
    assert is_a_line_and_a_hint(done.stderr), done.stderr


def test_a_link_that_dies_in_a_download_shows_no_traceback_of_a_thread(
    make_sshd: Make, tmp_path: Path
) -> None:
    server = make_sshd()
    big = tmp_path / "big"
    with big.open("wb") as file:
        file.truncate(400 << 20)
    copy = tmp_path / "copy"
    script = tmp_path / "get.py"
    script.write_text(
        "from sandbox_ops import Sandbox, SandboxConfig\n"
        "from sandbox_ops.errors import ConnectionLostError\n"
        f"with Sandbox({server.config()!r}) as sandbox:\n"
        "    try:\n"
        f"        sandbox.connection.get({str(big)!r}, {str(copy)!r})\n"
        "    except ConnectionLostError:\n"
        "        print('lost')\n"
    )
    command = [str(Path(PROGRAM).parent / "python"), str(script)]
    with Child(command, stdout=PIPE, stderr=PIPE, text=True) as download:
        wait_until(lambda: copy.exists() and copy.stat().st_size > 1 << 20)
        processes.end(server.session_pids(), grace_s=0)
        assert download.communicate(timeout=60) == ("lost\n", "")
