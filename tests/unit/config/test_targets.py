"""Which machines a call is about, by its words."""

import pytest

from sandbox_ops.config import Source, combine, from_toml
from sandbox_ops.config.configuration import Config
from sandbox_ops.config.targets import targets
from sandbox_ops.errors import ConfigError, UsageError

TEXT = """
default = "gpu1"
[groups]
both = ["gpu2", "gpu1"]
[sandboxes.gpu1]
host = "a"
[sandboxes.gpu2]
host = "b"
"""


@pytest.fixture
def config() -> Config:
    layer = from_toml(Source(name="own", text=TEXT))
    return combine([layer], source="own", searched="")


def test_without_a_word_it_is_the_default_machine(config: Config) -> None:
    assert targets(config) == {"": ()}
    assert targets(config, sandbox="gpu2", jobs=("last",)) == {"gpu2": ("last",)}


def test_several_machines_are_asked_for_the_same_jobs(config: Config) -> None:
    assert targets(config, on="both", jobs=("t1",)) == {
        "gpu2": ("t1",),
        "gpu1": ("t1",),
    }


def test_a_job_with_its_machine_leads_there(config: Config) -> None:
    assert targets(config, jobs=("gpu2:remote-3",)) == {"gpu2": ("remote-3",)}
    assert targets(config, sandbox="gpu2", jobs=(" gpu2: 3 ",)) == {"gpu2": ("3",)}
    assert targets(config, jobs=("gpu2:1", "2", "gpu1:3")) == {
        "gpu2": ("1",),
        "gpu1": ("2", "3"),
    }


@pytest.mark.parametrize("job", ["gpu9:remote-3", "gpu2:", ":3", "a:b", "gpu2"])
def test_a_colon_after_no_machine_belongs_to_a_name(config: Config, job: str) -> None:
    assert targets(config, jobs=(job,)) == {"": (job,)}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"on": "all", "sandbox": "gpu1"}, "`sandbox` names one machine, `on` several"),
        ({"on": "all", "jobs": ("gpu2:1",)}, "gpu2:1 names its machine, and `on`"),
        ({"sandbox": "gpu1", "jobs": ("gpu2:1",)}, "is a job of gpu2, and `sandbox`"),
    ],
)
def test_words_that_do_not_go_together_are_refused(
    config: Config, words: dict[str, object], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        targets(config, **words)  # type: ignore[arg-type]


def test_a_machine_that_is_not_described_is_named(config: Config) -> None:
    with pytest.raises(ConfigError, match='"gpu9" is neither a sandbox nor a group'):
        targets(config, on="gpu1,gpu9")
