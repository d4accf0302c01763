"""Which options of sbatch a configuration may add."""

import pytest

from sandbox_ops.config.value_checks import slurm_option


@pytest.mark.parametrize(
    "option", ["--mem=64G", "--cpus-per-task=8", "--exclusive", "--time-min=10"]
)
def test_what_we_do_not_set_may_be_added(option: str) -> None:
    assert slurm_option(option) == option


@pytest.mark.parametrize(
    ("option", "ours"),
    [
        ("--output=/tmp/x", "output"),
        ("--outp=/tmp/x", "output"),
        ("--arr=1-9", "array"),
        ("--job-n=mine", "job-name"),
        ("--requeue", "requeue"),
    ],
)
def test_what_we_set_is_refused_also_by_its_beginning(option: str, ours: str) -> None:
    """sbatch takes any beginning of an option's name that is clear."""
    with pytest.raises(ValueError, match=f"--{ours}"):
        slurm_option(option)


@pytest.mark.parametrize("option", ["-o/tmp/x", "mem=1G", "--mem=1G\n--wrap=x", ""])
def test_what_is_no_long_option_is_refused(option: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        slurm_option(option)
