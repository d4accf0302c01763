"""What names a job, and what is made of its id."""

import pytest

from sandbox_ops.errors import UsageError
from sandbox_ops.models import job_ids


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("remote-3", "remote-3"),
        ("cmd-12", "cmd-12"),
        ("3", "remote-3"),
        (" 3 ", "remote-3"),
        ("last", "last"),
        ("hot", "name=hot"),
        ("lr-0.1_b", "name=lr-0.1_b"),
        ("remote-", "name=remote-"),
        ("remote-03", "name=remote-03"),
        ("0", "name=0"),
        ("LAST", "name=LAST"),
        ("t1/3", "cell=t1/3"),
        ("t1/then", "cell=t1/then"),
        ("t1-lr1e-3.b/12", "cell=t1-lr1e-3.b/12"),
        ("a/b", f"name={job_ids.name_key('a/b')}"),
        ("t1/0", f"name={job_ids.name_key('t1/0')}"),
        ("a/b/3", f"name={job_ids.name_key('a/b/3')}"),
    ],
)
def test_a_job_is_named_by_id_number_name_or_last(text: str, wire: str) -> None:
    assert job_ids.reference(text).wire == wire


@pytest.mark.parametrize("name", ["a b", "../x", "", ".hidden", "ä", "x" * 65, "a\nb"])
def test_any_name_becomes_the_name_of_one_file(name: str) -> None:
    key = job_ids.name_key(name)
    assert key.isascii()
    assert "/" not in key
    assert not key.startswith(".")
    assert len(key) <= 64
    assert key != job_ids.name_key(name + "x")


def test_nothing_names_no_job() -> None:
    with pytest.raises(UsageError, match="no job is named"):
        job_ids.reference("  ")


@pytest.mark.parametrize("name", ["7", "last", "remote-7", "cmd-1", " last "])
def test_a_name_that_would_mean_another_job_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="a job cannot be named"):
        job_ids.check_name(name)


def test_an_id_tells_its_number_and_whether_it_is_a_command() -> None:
    assert job_ids.number("remote-31") == 31
    assert job_ids.number("nonsense") == 0
    assert job_ids.is_command("cmd-3")
    assert not job_ids.is_command("remote-3")
    assert job_ids.log_path("/b", "cmd-3") == "/b/jobs/cmd-3/log"


@pytest.mark.parametrize("name", ["t1/3", "t1/then", " t1/3 "])
def test_a_job_is_not_called_like_a_cell_of_a_sweep(name: str) -> None:
    assert job_ids.is_cell(name)
    with pytest.raises(UsageError, match="cells of a sweep"):
        job_ids.check_name(name)


def test_only_a_name_may_be_a_group() -> None:
    groups = [job_ids.reference(text) for text in ("t1", "a.b-c_d")]
    assert all(each.may_be_group for each in groups)
    jobs = [
        job_ids.reference(text) for text in ("t1/3", "remote-3", "3", "last", "a b")
    ]
    assert not any(each.may_be_group for each in jobs)
