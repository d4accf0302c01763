"""The project's environment, against a real sshd: used without being named."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import cli
from gitproject import GitProject
from machines import Place, set_up
from sshd import SshServer

from sandbox_ops import JobState, Sandbox
from sandbox_ops.machine import environment, jobs
from sandbox_ops.models import Project
from sandbox_ops.workflows.setup import SetupReport, setup
from sandbox_ops.workflows.train import train

MakeSshd = Callable[..., SshServer]
WHICH = "import sys; print(sys.prefix)"


@pytest.fixture
def place(sandbox: Sandbox, git_project: GitProject) -> Place:
    git_project.commit(
        {"requirements.txt": "# nothing needed\n", "which.py": WHICH}, push=True
    )
    return set_up(sandbox, git_project)


def result_of(report: SetupReport, step: str) -> str:
    return next(each.result for each in report.steps if each.name == step)


def log_of(place: Place, project: Project, command: str, **options: object) -> str:
    started = train(place.sandbox, project, command=command, **options)  # type: ignore[arg-type]
    assert jobs.wait(place.sandbox, started.job.id, timeout_s=20).state in (
        JobState.SUCCEEDED,
        JobState.FAILED,
    )
    return Path(started.job.log_path).read_text()


def test_a_training_uses_what_setup_made_without_naming_it(place: Place) -> None:
    venv = f"{place.clone}/.venv"
    assert log_of(place, place.project, "python which.py") == f"{venv}\n"
    assert log_of(place, place.project, "echo $VIRTUAL_ENV") == f"{venv}\n"
    without = log_of(place, place.project, "echo $VIRTUAL_ENV-", no_env=True)
    assert without == "-\n"


def test_the_projects_variables_and_folders_are_given_and_one_s_own_win(
    place: Place,
) -> None:
    place.write("tools/hello", "#!/bin/sh\necho hello from tools\n").chmod(0o755)
    place.write(".git/info/exclude", "/tools/\n/.venv/\n/logs/\n/runs/\n")
    project = dataclasses.replace(
        place.project, env=("THREADS=8", "QUOTED=it's $HOME"), path=("tools", "~/bin")
    )
    home = place.sandbox.home
    assert log_of(place, project, 'hello; echo "$THREADS $QUOTED"') == (
        "hello from tools\n8 it's $HOME\n"
    )
    assert log_of(place, project, "echo $PATH").startswith(
        f"{place.clone}/tools:{home}/bin:{place.clone}/.venv/bin:"
    )
    assert log_of(place, project, "echo $THREADS", env={"THREADS": "2"}) == "2\n"
    started = train(place.sandbox, project, command="true")
    record = json.loads((Path(started.job.log_path).parent / "run.json").read_text())
    assert {"THREADS", "QUOTED"} <= set(record["env_names"])


def test_the_environment_of_a_machine_without_one_stays_as_it_is(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    bare = set_up(sandbox, git_project)
    plain = sandbox.run("echo $PATH").stdout.text
    used = sandbox.run(
        "echo $PATH-$VIRTUAL_ENV",
        cwd=str(bare.clone),
        environment=environment.use(bare.project, str(bare.clone)),
    )
    assert used.stdout.text == f"{plain.strip()}-\n"


def test_a_conda_environment_is_made_and_used(
    make_sshd: MakeSshd, git_project: GitProject
) -> None:
    """With a stand-in for conda, which makes a prefix as conda does."""
    server = make_sshd()
    conda = server.home / "bin/conda"
    conda.parent.mkdir()
    conda.write_text(
        '#!/bin/sh\necho "$*" >>$HOME/conda.log\n'
        "mkdir -p .conda/conda-meta && python3 -m venv --without-pip .conda\n"
        "rm .conda/pyvenv.cfg\n"
    )
    conda.chmod(0o755)
    with (server.home / ".profile").open("a") as profile:
        profile.write('PATH="$HOME/bin:$PATH"\n')
    git_project.commit({"environment.yml": "name: demo\n"}, push=True)
    with Sandbox(server.config()) as sandbox:
        place = set_up(sandbox, git_project)
        assert place.run("status", "--porcelain") == ""
        assert (server.home / "conda.log").read_text() == (
            "env update --quiet --prune --prefix ./.conda --file environment.yml\n"
        )
        log = log_of(place, place.project, "echo $CONDA_PREFIX; command -v python")
        assert log == f"{place.clone}/.conda\n{place.clone}/.conda/bin/python\n"


def test_an_environment_of_conda_that_has_a_name_is_found(
    make_sshd: MakeSshd, git_project: GitProject
) -> None:
    server = make_sshd()
    prefix = server.home / "miniforge3/envs/bandits"
    (prefix / "conda-meta").mkdir(parents=True)
    git_project.commit({"environment.yml": 'name: "bandits"\n'}, push=True)
    project = git_project.project(setup=("true",))
    with Sandbox(server.config()) as sandbox:
        assert setup(sandbox, project).ok
        place = Place(sandbox, git_project)
        assert log_of(place, project, "echo $CONDA_PREFIX") == f"{prefix}\n"


# -- setup again ------------------------------------------------------------------


def test_setup_installs_again_when_a_file_that_it_names_changes(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    files = {
        "crate/src/a.rs": "1",
        "crate/src/deep/b.rs": "1",
        "c/x.c": "1",
        "y.c": "1",
    }
    git_project.commit(files, push=True)
    project = git_project.project(
        setup=("true",), setup_inputs=("crate/**/*.rs", "c/", "none*")
    )
    setup(sandbox, project)
    assert result_of(setup(sandbox, project), "environment") == "ok"
    clone = Path(sandbox.project_path(project))
    for name, result in [
        ("y.c", "ok"),
        ("crate/src/deep/b.rs", "changed"),
        ("c/x.c", "changed"),
    ]:
        (clone / name).write_text("2")
        assert result_of(setup(sandbox, project), "environment") == result, name


def test_setup_reports_what_it_did_not_check(
    sandbox: Sandbox, git_project: GitProject
) -> None:
    report = setup(sandbox, git_project.project())
    assert report.not_checked == (
        "the environment: no uv.lock, environment.yml, requirements.txt or pyproject.toml",
        "the GPU: this machine has none, or no driver",
        "imports: torch is not installed, and no `verify` is configured",
    )
    assert report.as_json()["not_checked"] == list(report.not_checked)
    again = setup(sandbox, git_project.project())
    assert again.not_checked == (
        "everything: nothing changed since the last good setup",
    )
    verified = setup(sandbox, git_project.project(setup=("true",), verify=("true",)))
    assert verified.not_checked == ("the GPU: only what `verify` looks at",)


# -- the verbs --------------------------------------------------------------------


def test_run_uses_the_environment_in_the_project_and_leaves_it_out_if_asked(
    place: Place, sshd: SshServer
) -> None:
    sshd.write_toml(place.git.clone, workspace=place.sandbox.config.workspace)

    def output(*words: str) -> str:
        return cli("run", *words, cwd=place.git.clone).stdout

    venv = f"{place.clone}/.venv"
    assert output("--", "python", "which.py") == f"{venv}\n"
    show = ("--command", "echo $VIRTUAL_ENV-")
    assert output(*show) == f"{venv}-\n"
    assert output("--no-env", *show) == "-\n"
    assert output("--cwd", "/", *show) == "-\n"
