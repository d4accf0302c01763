"""The examples of the documents, done as they stand there."""

import re
from pathlib import Path

import pytest
from command_line import INV, cli
from sshd import SshServer

from sandbox_ops import SandboxConfig

ROOT = Path(__file__).parents[2]
_PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _example(page: str, of: str) -> str:
    blocks = _PYTHON.findall((ROOT / page).read_text("utf-8"))
    (items,) = [block for block in blocks if of in block]
    return str(items)


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/custom-fabric-task.md"])
def test_our_verbs_stand_in_a_tasks_file_of_ones_own(page: str, tmp_path: Path) -> None:
    example = _example(page, "namespace = Collection")
    (tmp_path / "tasks.py").write_text(example, "utf-8")
    listed = cli("--list", cwd=tmp_path, program=INV)
    assert "nightly" in listed.stdout
    assert "sandbox.monitor" in listed.stdout


def test_the_library_example_runs_a_command_and_starts_a_job(
    sshd: SshServer, capsys: pytest.CaptureFixture[str]
) -> None:
    example = _example("README.md", "from sandbox_ops import Sandbox, SandboxConfig")
    reached = 'SandboxConfig(name="gpu1", host="gpu1")'
    assert reached in example
    config = sshd.config()
    (Path(config.workspace) / "bucket-brigade").mkdir()
    code = example.replace(reached, "config").replace("/workspace", config.workspace)
    values: dict[str, SandboxConfig] = {"config": config}
    exec(compile(code, "README.md", "exec"), values)  # noqa: S102 - it is ours
    ended, started = capsys.readouterr().out.strip().splitlines()
    assert ended.startswith(("0 ", "127 "))  # with a GPU, and without
    assert re.fullmatch(r"remote-\d+ /.*/jobs/remote-\d+/log", started)


def test_the_task_on_fabric_s_verbs_does_what_it_says(
    sshd: SshServer, tmp_path: Path
) -> None:
    page = "docs/how-to/custom-fabric-task.md"
    imports, _, _ = _example(page, "def evaluate").partition("@task")
    code = imports + _example(page, "def vocabulary")
    there = tmp_path / "there"
    there.mkdir()
    (tmp_path / "tasks.py").write_text(code.replace("/tmp/", f"{there}/"), "utf-8")
    (tmp_path / "words.txt").write_text("b\na\nb\n", "utf-8")
    sshd.write_toml(tmp_path)
    done = cli("vocabulary", cwd=tmp_path, program=INV)
    assert (done.stdout, done.stderr) == ("2 words\n", "")
    assert (tmp_path / "unique.txt").read_text() == "a\nb\n"
