"""What a mode forbids has no way in: held at the door, with a real machine behind it."""

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from gitproject import GitProject
from guards import guard
from sshd import SshServer

from sandbox_ops import Sandbox
from sandbox_ops.errors import DeniedError, NotFoundError, SandboxError
from sandbox_ops.guard import audit
from sandbox_ops.guard.acts import log_path
from sandbox_ops.machine import files, jobs, listing, shell, transfer, trust
from sandbox_ops.models import Project
from sandbox_ops.models.policy import ACTIONS, DENY_READ, MODES, Changes, allows
from sandbox_ops.workflows.doctor import doctor
from sandbox_ops.workflows.fetch import fetch
from sandbox_ops.workflows.monitor import monitor
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.setup import setup
from sandbox_ops.workflows.sync import sync
from sandbox_ops.workflows.train import train

SCRIPTS = Path(__file__).parents[2] / "sandbox_ops/remote/scripts"


def in_mode(server: SshServer, mode: str, **more: object) -> Sandbox:
    config = replace(server.config(), mode=mode, mode_set_in="config.toml:3", **more)  # type: ignore[arg-type]
    return Sandbox(config)


def project_of(git: GitProject) -> Project:
    return Project(
        root=str(git.clone), repo=git.url, name=git.clone.name, branch="main",
        outputs=("out/",), train_command="true", setup=("true",), verify=("true",),
    )  # fmt: skip


def refuse_trust(_key: object) -> None:
    raise AssertionError("asked whether to trust a key that is known")


BYPASSES: dict[str, Callable[[Sandbox, Project, Path], object]] = {
    "run": lambda machine, _project, _local: machine.run("id"),
    "find -delete": lambda machine, _project, _local: machine.run("find . -delete"),
    "git -c core.pager": lambda machine, _project, _local: machine.run(
        "git -c core.pager='touch x' log"
    ),
    "bash -c": lambda machine, _project, _local: machine.run("bash -c 'touch x'"),
    "an empty command": lambda machine, _project, _local: machine.run(""),
    "submit": lambda machine, _project, _local: machine.submit("id"),
    "start": lambda machine, _project, _local: machine.start("id"),
    "connection": lambda machine, _project, _local: machine.connection.run("id"),
    "upload": lambda machine, _project, local: transfer.upload(
        machine, local, "/tmp/planted"
    ),
    "train -- command": lambda machine, project, _local: train(
        machine, project, command="touch x"
    ),
    "shell": lambda machine, _project, _local: shell.enter(machine.config),
}
CHANGING: dict[str, Callable[[Sandbox, Project, Path], object]] = {
    "setup and its hooks": lambda machine, project, _local: setup(machine, project),
    "sync": lambda machine, project, _local: sync(machine, project),
    "sync --push": lambda machine, project, _local: sync(machine, project, push=True),
    "train": lambda machine, project, _local: train(machine, project),
    "reset": lambda machine, project, _local: reset(machine, project),
    "fetch": lambda machine, project, local: fetch(machine, project, into=str(local)),
    "stop": lambda machine, _project, _local: jobs.stop(machine, "remote-1"),
    "pin": lambda machine, _project, _local: jobs.pin(machine, "remote-1"),
    "a raw pin": lambda machine, _project, _local: machine.request("pin", "x", "1"),
    "download": lambda machine, _project, local: transfer.download(
        machine, "/etc/hostname", local, size_bytes=1
    ),
    "a script that changes": lambda machine, _project, _local: machine.script(
        "log_link", "/tmp"
    ),
    "a script with a made-up name": lambda machine, _project, _local: machine.script(
        "no_such_script"
    ),
}


@guard(
    "an agent with mode `workflow` or `read-only` asks for a command, in any wrapping",
    "denied before a byte is sent: arbitrary shell is not offered",
)
@pytest.mark.parametrize("mode", ["workflow", "read-only"])
@pytest.mark.parametrize("bypass", BYPASSES)
def test_no_command_of_the_callers_runs(
    sshd: SshServer, git_project: GitProject, tmp_path: Path, mode: str, bypass: str
) -> None:
    local = tmp_path / "file"
    local.write_text("x")
    with in_mode(sshd, mode) as machine:
        with pytest.raises(DeniedError) as denied:
            BYPASSES[bypass](machine, project_of(git_project), local)
        assert not machine.links.is_connected
    assert f"is in {mode} mode" in denied.value.message
    assert "config.toml:3" in denied.value.hint


@guard(
    "an agent with mode `read-only` asks for anything that changes something",
    "denied before a byte is sent, naming the mode and where it is set",
)
@pytest.mark.parametrize("change", CHANGING)
def test_read_only_changes_nothing(
    sshd: SshServer, git_project: GitProject, tmp_path: Path, change: str
) -> None:
    local = tmp_path / "new"
    with in_mode(sshd, "read-only") as machine:
        with pytest.raises(DeniedError, match="is in read-only mode"):
            CHANGING[change](machine, project_of(git_project), local)
        assert not machine.links.is_connected
    assert not local.exists()


def test_read_only_still_reads(
    sshd: SshServer, git_project: GitProject, tmp_path: Path
) -> None:
    project = project_of(git_project)
    workspace = sshd.home / "ro-workspace"
    workspace.mkdir()
    with Sandbox(replace(sshd.config(), workspace=str(workspace))) as machine:
        assert setup(machine, project).ok
        job = machine.start("echo hello")
        jobs.wait(machine, job.id, timeout_s=20)
    with in_mode(sshd, "read-only", workspace=str(workspace)) as machine:
        assert jobs.get(machine, job.id).state.ended
        assert b"hello" in jobs.output(machine, job.id).data
        assert files.read_lines(machine, job.log_path).lines == ("hello",)
        assert monitor(machine, project).reachable
        assert doctor(machine, project).checks
        assert reset(machine, project, dry_run=True).dry_run
        trust.trust(machine, refuse_trust)
    del tmp_path


def test_workflow_mode_does_the_configured_workflows(
    sshd: SshServer, git_project: GitProject
) -> None:
    project = project_of(git_project)
    workspace = sshd.home / "workflow-workspace"
    workspace.mkdir()
    with in_mode(sshd, "workflow", workspace=str(workspace)) as machine:
        assert setup(machine, project).ok
        assert sync(machine, project).ok
        job = train(machine, project).job
        jobs.wait(machine, job.id, timeout_s=20)
        jobs.stop(machine, job.id)
        assert reset(machine, project).ok


def test_every_script_has_its_row_in_the_table() -> None:
    scripts = {file.stem for file in SCRIPTS.glob("*.sh")}
    streamed = {"file_send", "file_take", "files_take"}  # download, upload
    of_jobs = {"node", "slurm_nodes", "slurm_node_task"}  # what a started job is
    rows = {
        name.removeprefix("script ") for name in ACTIONS if name.startswith("script ")
    }
    assert rows == scripts - streamed - of_jobs


def test_a_stricter_mode_allows_nothing_that_a_looser_one_forbids() -> None:
    for action, row in ACTIONS.items():
        allowed = [allows(mode, action) for mode in MODES]
        assert allowed == sorted(allowed)
        assert allowed[0] is (row.changes is Changes.NOTHING)
    assert not any(allows(mode, "no such action") for mode in MODES)


SECRETS = (
    ".ssh/id_ed25519", ".ssh/config", "project/.env", ".aws/credentials", ".netrc",
    ".config/gcloud/credentials.db", ".kube/config", "deploy.pem", ".git-credentials",
)  # fmt: skip


@guard(
    "an agent reads ~/.ssh, a .env or cloud credentials, by name or through links",
    "denied by `deny_read`, held against the opened file on the machine",
)
@pytest.mark.parametrize("name", SECRETS)
def test_secrets_are_not_read_by_name_nor_through_a_link(
    sshd: SshServer, tmp_path: Path, name: str
) -> None:
    file = sshd.home / "deny" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("canary\n")
    link = tmp_path / "innocent.txt"
    link.symlink_to(file)
    folder = tmp_path / "folder"
    folder.symlink_to(file.parent)
    with Sandbox(sshd.config()) as machine:
        for path in (file, link, folder / file.name, f"{file.parent}/./{file.name}"):
            with pytest.raises(DeniedError, match="deny_read has") as denied:
                files.read_lines(machine, str(path))
            assert "canary" not in str(denied.value)
            with pytest.raises(DeniedError):
                files.read_bytes(machine, str(path))
            with pytest.raises(DeniedError):
                transfer.download(machine, str(path), tmp_path / "got", size_bytes=7)
    assert not (tmp_path / "got").exists()


def test_the_values_that_a_job_was_given_are_not_read(sshd: SshServer) -> None:
    with Sandbox(sshd.config()) as machine:
        job = machine.start("sleep 20", env={"TOKEN": "canary-of-the-job"})
        folder = Path(job.log_path).parent
        try:
            with pytest.raises(DeniedError):
                files.read_lines(machine, "/proc/self/environ")
            for file in folder.rglob("*"):
                if file.is_file() and file.name != "env":
                    assert b"canary" not in file.read_bytes()
        finally:
            jobs.stop(machine, job.id, grace_s=0)


@guard(
    "an agent leaves `read_roots` by .., a link in them, or a folder of the same prefix",
    "denied: the real path of the opened file counts",
)
def test_reads_stay_below_the_roots(sshd: SshServer, tmp_path: Path) -> None:
    root, beside = tmp_path / "root", tmp_path / "root-beside"
    for folder in (root, beside):
        folder.mkdir()
        (folder / "file").write_text("text\n")
    (root / "out").symlink_to(beside)
    (tmp_path / "alias").symlink_to(root)
    roots = (str(tmp_path / "alias"), "/no/such/root")
    with in_mode(sshd, "full", read_roots=roots) as machine:
        assert files.read_lines(machine, f"{root}/file").lines == ("text",)
        assert files.read_bytes(machine, f"{tmp_path}/alias/file") == b"text\n"
        for path in (f"{root}/../root-beside/file", f"{root}/out/file", "/etc/passwd"):
            with pytest.raises(DeniedError, match="below none of read_roots"):
                files.read_lines(machine, path)
            with pytest.raises(DeniedError):
                transfer.download(machine, path, tmp_path / "got", size_bytes=1)
        job = machine.start("echo log")
        jobs.wait(machine, job.id, timeout_s=20)
        assert files.read_lines(machine, job.log_path).lines == ("log",)


ASKING: dict[str, Callable[[Sandbox, Path, Path], object]] = {
    "lines": lambda machine, path, _here: files.read_lines(machine, str(path)),
    "bytes": lambda machine, path, _here: files.read_bytes(machine, str(path)),
    "what is known of it": lambda machine, path, _here: files.stat(machine, str(path)),
    "a listing": lambda machine, path, _here: listing.files(
        machine, str(path.parent), [path.name]
    ),
    "a listing from the root": lambda machine, path, _here: listing.files(
        machine, "/", [str(path)[1:]]
    ),
    "a checksum": lambda machine, path, _here: listing.checksums(
        machine, {str(path): 7}
    ),
    "a download": lambda machine, path, here: transfer.download(
        machine, str(path), here / "got", size_bytes=7
    ),
    "a fetch": lambda machine, path, here: fetch(
        machine, Project(), paths=[str(path)], into=str(here)
    ),
    "a fetch of its folder": lambda machine, path, here: fetch(
        machine, Project(), paths=[str(path.parent)], into=str(here)
    ),
    "the nearest names": lambda machine, path, _here: listing.nearest(
        machine, f"{path}x"
    ),
}


@guard(
    "an agent asks of what it may not read whether it is there, how long, what beside it",
    "no reader, listing, checksum or hint of ours says so: one table of all calls that read",
)
@pytest.mark.parametrize("reading", ASKING)
@pytest.mark.parametrize("guarded_by", ["read_roots", "deny_read"])
def test_every_call_that_reads_is_under_the_policy(
    sshd: SshServer, tmp_path: Path, reading: str, guarded_by: str
) -> None:
    folder = sshd.home / f"asking-{tmp_path.name}"
    secret, beside = folder / ".aws" / "credentials", folder / ".aws" / "config"
    secret.parent.mkdir(parents=True)
    (tmp_path / "root").mkdir()
    (tmp_path / "here").mkdir()
    for path in (secret, beside):
        path.write_text("canary\n")
    roots = (str(tmp_path / "root"),) if guarded_by == "read_roots" else ()
    deny = ("*/nothing-like-it",) if roots else DENY_READ
    with in_mode(sshd, "full", read_roots=roots, deny_read=deny) as machine:
        replies = ""
        try:
            replies = str(ASKING[reading](machine, secret, tmp_path / "here"))
        except (DeniedError, NotFoundError) as error:
            replies = error.message.replace(str(secret), "")
        for missing in (folder / "none", folder / ".aws" / "none"):
            with contextlib.suppress(SandboxError):
                replies += str(ASKING[reading](machine, missing, tmp_path / "here"))
    assert "canary" not in replies
    assert "config" not in replies.replace("config.toml", "")
    assert hashlib.sha256(b"canary\n").hexdigest() not in replies
    assert "size_bytes=7" not in replies
    assert not list((tmp_path / "here").rglob("c*"))


def test_outside_of_the_roots_nobody_is_told_what_is_there(
    sshd: SshServer, tmp_path: Path
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "binary").write_bytes(b"a\0b")
    with in_mode(sshd, "full", read_roots=(str(tmp_path / "root"),)) as machine:
        for name in ("none", "none/below", "binary", ""):
            for read in (files.read_lines, files.read_bytes, files.stat):
                with pytest.raises(DeniedError, match="below none of read_roots"):
                    read(machine, f"{tmp_path}/{name}")
        with pytest.raises(DeniedError, match="below none of read_roots"):
            listing.files(machine, f"{tmp_path}/none", ["*"])


def test_a_listing_leaves_out_what_is_denied_below_a_folder_that_is_not(
    sshd: SshServer, tmp_path: Path
) -> None:
    root = tmp_path / "root"
    for name in ("out/a", "out/.env", "out/deep/.ssh/id", "out/key.pem"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    (tmp_path / "alias").symlink_to(root)
    with Sandbox(sshd.config()) as machine:
        for top in (root, tmp_path / "alias"):
            listed = listing.files(machine, str(top), ["out/"])
            assert [file.path for file in listed] == ["out/a"]
        assert "key.pem" not in "".join(listing.nearest(machine, f"{root}/out/none"))
        with pytest.raises(DeniedError, match="deny_read has"):
            listing.files(machine, str(root), ["out/.env"])


def test_a_pattern_of_the_users_own_replaces_the_defaults(
    sshd: SshServer, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("A=1\n")
    (tmp_path / "a b").write_text("x\n")
    with in_mode(sshd, "full", deny_read=("*/a b",)) as machine:
        assert files.read_lines(machine, str(tmp_path / ".env")).lines == ("A=1",)
        with pytest.raises(DeniedError):
            files.read_lines(machine, str(tmp_path / "a b"))
    assert "*/.env" in DENY_READ


def acts_of(name: str) -> list[tuple[str, str]]:
    return [
        (entry.action, entry.outcome)
        for entry in audit.entries(log_path())
        if entry.sandbox == name
    ]


def test_what_changes_something_is_noted_and_what_reads_is_not(
    sshd: SshServer, tmp_path: Path
) -> None:
    config = replace(sshd.config(), name=f"noted-{tmp_path.name}")
    with Sandbox(config) as machine:
        machine.run("exit 3")
        job = machine.start("true", env={"TOKEN": "canary-value"})
        jobs.wait(machine, job.id, timeout_s=20)
        files.read_lines(machine, "/etc/hostname")
        jobs.recent(machine)
        jobs.stop(machine, job.id)
        transfer.upload(machine, Path("/etc/hostname"), f"{tmp_path}/up")
    noted = acts_of(config.name)
    assert [action for action, outcome in noted if not outcome] == [
        "run", "start", "stop", "upload",
    ]  # fmt: skip
    ends = {action: outcome for action, outcome in noted if outcome}
    assert ends["run"].endswith("exited 3")
    assert ends["start"] == job.id
    assert "canary-value" not in log_path().read_text()
    assert audit.verify(log_path()).ok


@guard(
    "the audit log cannot be written",
    "what destroys (stop, reset, sync, upload, trust) is not done; the rest goes on",
)
def test_without_a_log_nothing_destructive_is_done(
    sshd: SshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sandbox-ops").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    target = tmp_path / "target"
    with Sandbox(sshd.config()) as machine:
        assert machine.run("echo on").stdout.text == "on\n"
        job = machine.start("sleep 30")
        with pytest.raises(
            Exception,
            match="`stop` was refused, because it cannot be written to the audit log",
        ):
            jobs.stop(machine, job.id)
        assert not jobs.get(machine, job.id).state.ended
        with pytest.raises(Exception, match="`upload` was refused"):
            transfer.upload(machine, Path("/etc/hostname"), str(target))
        monkeypatch.delenv("XDG_STATE_HOME")
        jobs.stop(machine, job.id, grace_s=0)
    assert not target.exists()
