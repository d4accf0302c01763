"""The rows of the tests of commands, jobs, files and faults, over each link but Fabric's.

They are the very same tests; the fixtures below lead them elsewhere. Connections that
stay away are in `test_links` and `ssh/test_openssh_links`.
"""

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from each_link import OpensshServer, ThisComputer, rows
from slow import slow
from sshd import start_sshd

from sandbox_ops import Sandbox

Machine = OpensshServer | ThisComputer
Make = Callable[..., Machine]


@pytest.fixture(scope="module")
def _sockets() -> Iterator[Path]:
    """A place for sockets: with a short path."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


@pytest.fixture(params=["openssh", *slow("local", "command")])
def link(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _sockets: Path
) -> str:
    """The kind of link."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(_sockets))
    return str(request.param)


@pytest.fixture
def make_sshd(
    link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Make]:
    """Make a machine of the test's own, that may be stopped."""
    numbers = itertools.count(1)
    machines: list[Machine] = []

    def make(**options: object) -> Machine:
        folder = tmp_path / f"machine-{next(numbers)}"
        machine: Machine
        if link == "openssh":
            machine = start_sshd(folder, kind=OpensshServer, **options)  # type: ignore[assignment, arg-type]
        else:
            monkeypatch.setenv("HOME", str(folder))
            machine = ThisComputer(folder, link)
        machines.append(machine)
        return machine

    yield make
    for machine in machines:
        machine.close()


@pytest.fixture(scope="module")
def _shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpensshServer]:
    folder = tmp_path_factory.mktemp("each-link") / "server"
    with start_sshd(folder, kind=OpensshServer) as server:
        assert isinstance(server, OpensshServer)
        yield server


@pytest.fixture
def sshd(link: str, make_sshd: Make, _shared_server: OpensshServer) -> Machine:
    """A machine: do not stop it."""
    return _shared_server if link == "openssh" else make_sshd()


@pytest.fixture
def sandbox(sshd: Machine) -> Iterator[Sandbox]:
    """A sandbox over the link."""
    with Sandbox(sshd.config()) as machine:
        yield machine


@pytest.fixture
def shared_sandbox(sandbox: Sandbox) -> Sandbox:
    """The same."""
    return sandbox


globals().update(
    rows(
        "integration/machine/test_run.py",
        "test_exit_code_stdout_and_stderr_arrive_apart",
        "test_a_signal_is_distinguished_from_an_exit_code",
        "test_stdin_is_empty_and_does_not_hang",
        "test_a_command_runs_in_its_directory_with_its_environment_as_data",
        "test_a_directory_that_is_not_there_is_named",
        "test_a_command_of_a_megabyte_arrives_whole",
        "test_a_listener_hears_every_byte",
        "test_a_timeout_is_answered_when_the_whole_tree_is_dead",
        "test_a_cancelled_command_is_dead_when_its_end_is_answered",
        "test_processes_left_behind_are_counted_and_can_be_stopped",
        "test_a_killed_ssh_session_is_reconnected_and_the_real_end_answered",
    )
)
globals().update(
    rows(
        "integration/machine/test_jobs.py",
        "test_a_job_is_started_listed_and_ends_with_its_exit_code",
        "test_a_job_outlives_the_client_that_started_it",
        "test_reading_from_a_cursor_gives_only_what_is_new",
        "test_stop_lets_a_training_save_and_reports_what_it_ended",
        "test_the_deadline_holds_with_nobody_connected",
        "test_one_token_is_one_job_however_often_it_is_sent",
        "test_a_claimed_gpu_is_passed_to_the_job_and_refused_to_another",
        "test_fifty_starts_at_once_are_fifty_jobs",
        "test_a_killed_leader_is_failed_and_a_killed_supervisor_is_lost",
        "test_an_unknown_or_malformed_id_lists_the_known",
        "test_one_look_has_jobs_tails_disk_and_load",
    )
)
globals().update(
    rows(
        "integration/machine/test_files.py",
        "test_a_listing_has_sizes_whatever_the_names",
        "test_what_is_known_of_a_path_is_reported_without_following_a_link",
        "test_files_come_although_the_server_allows_one_session",
        "test_a_download_is_whole_resumed_and_atomic",
        "test_a_download_goes_on_by_itself_where_a_lost_link_ended_it",
        "test_an_upload_is_whole_resumed_and_atomic",
        "test_an_upload_goes_on_by_itself_where_a_lost_link_ended_it",
    )
)
globals().update(
    rows(
        "integration/ssh/test_faults.py",
        "test_a_start_whose_answer_was_lost_is_one_job",
    )
)
globals().update(
    {
        name: pytest.mark.parametrize("link", ["openssh"], indirect=True)(test)
        for name, test in rows(
            "integration/machine/test_run.py",
            "test_a_cold_sandbox_hit_by_sixteen_threads_connects_once",
        )
    }
)
