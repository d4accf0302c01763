"""Machines without /proc, with BSD's tools alone (bsd.py says what of that is real).

The rows of the tests of commands, jobs and files over such a machine, and what is its own: which
life of it a job belongs to, what is missing there, where its tools are.
"""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bsd import KERNELS, BsdMachine
from each_link import rows

from sandbox_ops import Sandbox

Make = Callable[..., BsdMachine]


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> str:
    """What `uname` says there."""
    return str(request.param)


@pytest.fixture
def make_sshd(kernel: str, tmp_path: Path) -> Iterator[Make]:
    """Make a machine of the test's own, that may be stopped."""
    numbers = itertools.count(1)
    machines: list[BsdMachine] = []

    def make(**options: object) -> BsdMachine:
        folder = tmp_path / f"machine-{next(numbers)}"
        without = options.get("without", ())
        assert isinstance(without, tuple)
        machines.append(BsdMachine(folder, kernel, without))
        return machines[-1]

    yield make
    for machine in machines:
        machine.close()


@pytest.fixture
def sshd(make_sshd: Make) -> BsdMachine:
    """A machine."""
    return make_sshd()


@pytest.fixture
def sandbox(sshd: BsdMachine) -> Iterator[Sandbox]:
    """A sandbox on it."""
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
        "test_of_a_long_output_head_and_tail_are_kept_and_the_rest_counted",
        "test_invalid_utf8_stays_visible",
        "test_a_timeout_is_answered_when_the_whole_tree_is_dead",
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
        "test_the_deadline_holds_with_nobody_connected",
        "test_one_token_is_one_job_however_often_it_is_sent",
        "test_a_killed_leader_is_failed_and_a_killed_supervisor_is_lost",
        "test_an_unknown_or_malformed_id_lists_the_known",
        "test_one_look_has_jobs_tails_disk_and_load",
    )
)
globals().update(
    rows(
        "integration/machine/test_files.py",
        "test_of_a_big_file_the_end_is_numbered_from_the_end",
        "test_a_line_that_is_too_long_is_given_in_part",
        "test_a_last_line_without_its_newline_is_a_line",
        "test_pages_of_a_big_file_follow_each_other_without_gap_or_overlap",
        "test_a_binary_file_is_refused_wherever_its_page_is",
        "test_a_missing_file_names_the_nearest_directory",
        "test_a_range_of_bytes_is_given_as_it_is",
        "test_a_listing_has_sizes_whatever_the_names",
        "test_checksums_are_of_as_much_as_is_asked_whatever_the_names",
        "test_what_is_known_of_a_path_is_reported_without_following_a_link",
        "test_a_download_is_whole_resumed_and_atomic",
        "test_an_empty_file_comes_too",
        "test_of_a_log_that_grows_as_much_comes_as_was_listed",
        "test_a_file_that_became_shorter_or_went_is_refused_and_leaves_nothing",
        "test_an_upload_is_whole_resumed_and_atomic",
    )
)
globals().update(
    rows(
        "integration/machine/test_logs.py",
        "test_output_beyond_the_limit_keeps_its_beginning_and_its_end",
    )
)
globals().update(
    rows(
        "integration/machine/test_jobs_removed.py",
        "test_a_job_that_removes_its_own_folder_keeps_its_exit_code",
        "test_a_job_whose_folder_was_removed_is_listed_and_stopped_by_its_id",
    )
)
