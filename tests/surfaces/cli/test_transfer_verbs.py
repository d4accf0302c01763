"""put, fetch --push, sync --dirty, tunnel, notify and on-idle as a process."""

import http.client
import http.server
import json
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from command_line import PROGRAM, cli
from each_link import ThisComputer
from gitproject import GitProject, make_git_project
from processes import Child
from waiting import wait_until

CONFIGURED = """
[project]
outputs = ["models/"]
setup = ["true"]
verify = ["true"]
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThisComputer]:
    """A machine of this file's own: `on-idle` sees to every run that is on record."""
    own = ThisComputer(tmp_path_factory.mktemp("own") / "home", "command")
    yield own
    own.close()


@pytest.fixture(scope="module")
def project(
    machine: ThisComputer, tmp_path_factory: pytest.TempPathFactory
) -> GitProject:
    """A project that is set up on the machine, which all tests of this file share."""
    project = make_git_project(tmp_path_factory.mktemp("transfer"), "cargo")
    toml = machine.write_toml(project.clone, CONFIGURED).read_text("utf-8")
    files = {".gitignore": "models/\ndata/\n", "sandbox.toml": toml}
    project.commit(files, push=True)
    done = cli("setup", cwd=project.clone)
    assert done.returncode == 0, done
    return project


def answer(*arguments: str, cwd: Path, code: int = 0) -> dict[str, Any]:
    """The one JSON object of a call."""
    done = cli(*arguments, "--json", cwd=cwd)
    assert done.returncode == code, done
    output = json.loads(done.stdout)
    assert isinstance(output, dict)
    return output


def test_put_takes_a_path_and_where_it_goes(project: GitProject) -> None:
    project.write({"data/x.bin": "x", "data/y.tmp": "y"})
    at = project.clone
    planned = cli("put", "data", "--dry-run", "--exclude", "*.tmp", cwd=at)
    assert planned.returncode == 0, planned
    assert "1 file, 1 B, would go to " in planned.stdout
    value = answer("put", "data", "data/", "--exclude", "*.tmp", cwd=at)
    assert [file["path"] for file in value["files"]] == ["x.bin"]
    assert value["into"].endswith("/cargo/data/data")
    (at / "data/x.bin").write_text("other")
    refused = cli("put", "data/x.bin", "data/data/x.bin", cwd=at)
    assert refused.returncode == 75
    assert "differ from those that would go:" in refused.stderr
    again = "sandbox-ops put --path data/x.bin --dest data/data/x.bin --overwrite"
    assert again in refused.stderr
    for words in (("put",), ("put", "a", "b", "c")):
        assert cli(*words, cwd=at).returncode == 2


def test_results_are_pushed_by_the_machine(project: GitProject) -> None:
    command = "mkdir -p models; echo 1 >models/a.json"
    at = project.clone
    job = answer("train", "--name", "small", "--command", command, cwd=at)["job"]["id"]
    assert cli("wait", job, cwd=at).returncode == 0
    done = cli("fetch", job, "--push", cwd=at)
    assert done.returncode == 0, done
    assert "pushed results/small at " in done.stdout
    names = project.git(
        "ls-tree", "-r", "--name-only", "results/small", at=project.origin
    )
    assert "models/a.json" in names.splitlines()
    assert cli("fetch", "--push", cwd=at).returncode == 2


def test_what_is_not_committed_is_synced_on_request(project: GitProject) -> None:
    project.write({"new.py": "print(1)\n"})
    value = answer("sync", "--dirty", cwd=project.clone)
    assert value["base_commit"] == project.head
    assert value["commit_after"] != project.head
    (project.clone / "new.py").unlink()
    assert cli("sync", "--via", "ssh", cwd=project.clone).returncode == 0


class Handler(http.server.BaseHTTPRequestHandler):
    posts: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.posts.append(body.decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[int]:
    """A real web server on loopback; its port."""
    Handler.posts = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_a_tunnel_says_its_address_and_ends_with_ctrl_c(
    project: GitProject, web: int
) -> None:
    words = [PROGRAM, "tunnel", str(web), "--local", "0", "--json"]
    pipe = subprocess.PIPE
    with Child(words, cwd=project.clone, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout is not None
        value = json.loads(child.stdout.readline())
        client = http.client.HTTPConnection(
            "127.0.0.1", value["local_port"], timeout=20
        )
        client.request("GET", "/")
        assert client.getresponse().read() == b"hello"
        assert value["url"] == f"http://127.0.0.1:{value['local_port']}/"
        child.send_signal(signal.SIGINT)
        _, said = child.communicate(timeout=30)
    assert (child.returncode, said) == (0, "closing the tunnel\n")
    taken = cli("tunnel", "6006", "--local", str(web), cwd=project.clone)
    assert taken.returncode == 75
    assert "(pid " in taken.stderr
    assert cli("tunnel", "many", cwd=project.clone).returncode == 2


LAB = """
import http.server, os
wanted = os.environ["JUPYTER_TOKEN"]
class Lab(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == f"/lab?token={wanted}" else 403)
        self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Lab)
print(f"http://127.0.0.1:{server.server_port}/lab?token={wanted}", flush=True)
server.serve_forever()
"""


def test_a_server_that_wants_a_token_is_reached_as_the_page_on_tunnels_says(
    project: GitProject,
) -> None:
    token = secrets.token_hex(24)
    env = {"JUPYTER_TOKEN": token}
    (project.clone / "lab.py").write_text(LAB)
    there = Path(answer("run", "--command", "pwd", cwd=project.clone)["stdout"].strip())
    (there / "lab.py").write_text(LAB)
    words = ("--gpus", "0", "--name", "lab", "--env", "JUPYTER_TOKEN")
    lab = ("train", *words, "--force", "stale-code", "--", "python3", "lab.py")
    done = cli(*lab, cwd=project.clone, env=env)
    assert done.returncode == 0, done
    wait_until(lambda: "http" in cli("logs", "lab", cwd=project.clone).stdout)
    said = cli("logs", "lab", cwd=project.clone).stdout
    assert "/lab?token=[redacted: url-token]\n" in said
    port = said.partition("127.0.0.1:")[2].partition("/")[0]
    opened = [PROGRAM, "tunnel", port, "--local", "0", "--json"]
    with Child(opened, cwd=project.clone, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        at = json.loads(child.stdout.readline())["local_port"]
        for path, status in ((f"/lab?token={token}", 200), ("/lab", 403)):
            client = http.client.HTTPConnection("127.0.0.1", at, timeout=20)
            client.request("GET", path)
            assert client.getresponse().status == status
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=30)
    assert cli("stop", "lab", "--grace", "1", cwd=project.clone).returncode == 0


def test_a_wait_notifies_once_and_a_machine_by_itself(
    project: GitProject, web: int
) -> None:
    env = {"SANDBOX_OPS_NOTIFY_WEBHOOK": f"http://127.0.0.1:{web}/hook"}
    at = project.clone
    unset = cli("wait", "last", "--notify", cwd=at)
    assert unset.returncode == 78
    assert "[notify]" in unset.stderr
    command = "sleep 2; exit 3"
    job = answer("train", "--name", "told", "--command", command, cwd=at)["job"]["id"]
    for _ in range(2):
        assert cli("wait", job, "--notify", cwd=at, env=env).returncode == 3
    assert len(Handler.posts) == 1
    assert json.loads(Handler.posts[0])["job"] == job
    done = cli("train", "--notify", "--watch", "--command", "exit 4", cwd=at, env=env)
    assert done.returncode == 4
    assert "will not notify" not in done.stderr
    assert len(Handler.posts) == 2, Handler.posts


def test_on_idle_says_what_it_would_do(project: GitProject, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    words = ("on-idle", "--ignore-others", "--command", f"touch {ran}")
    planned = cli(*words, "--dry-run", cwd=project.clone)
    assert f"then it would run here: touch {ran}" in planned.stdout, planned
    assert not ran.exists()
    value = answer(*words, cwd=project.clone)
    assert (value["exit_code"], value["running"]) == (0, [])
    assert ran.exists()
