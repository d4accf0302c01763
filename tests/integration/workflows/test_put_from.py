"""What an agent may send of this computer: the local clone's files, and nothing private."""

from pathlib import Path

import pytest
from gitproject import GitProject
from guards import guard
from machines import set_up

from sandbox_ops import Sandbox
from sandbox_ops.errors import DeniedError, RefusedError, UsageError
from sandbox_ops.workflows.put_from import put_from_clone


@guard(
    "an agent asks to send a private file of this computer to the machine",
    "only files of the local clone go, no hidden one, no key, and none by a link out of it",
)
def test_an_agent_sends_files_of_the_clone_and_no_private_ones(
    sandbox: Sandbox, git_project: GitProject, tmp_path: Path
) -> None:
    git_project.commit({".gitignore": "data/\n"}, push=True)
    place = set_up(sandbox, git_project)
    secret = tmp_path / "notes"
    secret.write_text("private")
    git_project.write({"data/x": "x", "data2/.env": "TOKEN=1", "keys/a.pem": "k"})
    (git_project.clone / "linked").mkdir()
    (git_project.clone / "linked/innocent").symlink_to(secret)
    project = place.project
    report = put_from_clone(sandbox, project, "data")
    assert [file.path for file in report.files] == ["x"]
    assert (place.clone / "data/x").read_text() == "x"
    for path, why in [
        ("data2", "may not be read by agents"),
        ("keys/a.pem", "may not be read by agents"),
        ("linked", "is a link out of it"),
    ]:
        with pytest.raises(DeniedError, match=why):
            put_from_clone(sandbox, project, path)
    for path in ("..", str(secret), "../x", ""):
        with pytest.raises(UsageError, match="must be below the local clone"):
            put_from_clone(sandbox, project, path)
    assert not list(place.clone.glob("linked*"))
    git_project.write({"data/x": "another"})
    with pytest.raises(RefusedError, match="differ"):
        put_from_clone(sandbox, project, "data")
