"""The names of `sandbox_ops.models`, each imported when it is used."""

import subprocess
import sys

import pytest

from sandbox_ops import models


def test_every_name_is_there_and_no_other() -> None:
    for name in models.__all__:
        assert getattr(models, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = models.Nothing


def test_who_uses_a_job_does_not_wait_for_what_describes_a_machine() -> None:
    code = (
        "import sys\n"
        "from sandbox_ops.models import Job\n"
        "print('sandbox_ops.models.hardware' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"False"
