"""A start that wants what another has is refused before anybody saw a job of it."""

import os
import subprocess
from pathlib import Path

from sandbox_ops import scripts

BEFORE_MAIN = "SETSID=\n"
LOOK_MEANWHILE = "claim_all() { look_jobs 5; no refused taken; return 1; }\n"


def test_a_job_is_not_listed_before_its_claims_are_granted(tmp_path: Path) -> None:
    library = tmp_path / "library"
    text = scripts.library().replace(BEFORE_MAIN, LOOK_MEANWHILE + BEFORE_MAIN)
    assert LOOK_MEANWHILE in text
    library.write_text(text)
    words = [*("token", "bg", "0", "1", "0", "0", "0", "sh", "/"), "{}", "", "true", "gpu-0"]  # fmt: skip
    done = subprocess.run(
        ["sh", library, "worker"],
        input=b"#abc\n" + scripts.request(1, "start", words),
        env={"HOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        check=False,
        timeout=25,
    )
    assert b"abc error refused" in done.stdout
    assert b"job remote-1" not in done.stdout
