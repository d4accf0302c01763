"""The command line starts without what Invoke imports and nobody uses."""

import json
import subprocess
import sys

_HEAVY = ("asyncio", "ssl", "unittest.mock", "invoke.vendor.yaml.loader", "paramiko")


def _in_a_process_of_its_own(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_line_is_imported_without_asyncio_yaml_or_paramiko() -> None:
    shown = _in_a_process_of_its_own(
        "import json, sys, sandbox_ops.tasks\n"
        f"print(json.dumps([name for name in {_HEAVY!r} if name in sys.modules]))"
    )
    assert json.loads(shown) == []


def test_what_invoke_does_with_them_still_works() -> None:
    shown = _in_a_process_of_its_own(
        "import sandbox_ops.tasks, invoke, unittest.mock\n"
        "from invoke.util import yaml\n"
        "context = invoke.MockContext(run={'true': True})\n"
        "assert isinstance(unittest.mock.Mock(), unittest.mock.Mock)\n"
        "print(context.run('true').ok, context.run.called, yaml.safe_load('a: 1'))"
    )
    assert shown == "True True {'a': 1}\n"


def test_an_invoke_that_is_there_already_is_left_alone() -> None:
    shown = _in_a_process_of_its_own(
        "import invoke.context as before, unittest.mock, sandbox_ops.tasks\n"
        "print(before.Mock is unittest.mock.Mock)"
    )
    assert shown == "True\n"
