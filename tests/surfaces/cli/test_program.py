"""`sandbox-ops` as a process, as far as it comes without a machine."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import INV, PROGRAM, cli
from processes import Child

VERBS = {
    "agent",
    "allow",
    "allow-list",
    "audit",
    "completion",
    "demo",
    "diff",
    "doctor",
    "events",
    "export",
    "fetch",
    "jobs",
    "login",
    "logout",
    "logs",
    "mcp-install",
    "monitor",
    "move",
    "note",
    "on-idle",
    "pin",
    "plot",
    "plugin-install",
    "put",
    "rerun",
    "reset",
    "run",
    "runs",
    "sandboxes",
    "setup",
    "shell",
    "show",
    "stop",
    "sync",
    "tag",
    "train",
    "trust",
    "tunnel",
    "untag",
    "wait",
}
REPOSITORY = Path(__file__).parents[3]


def error_of(stdout: str) -> dict[str, Any]:
    """The error in what must be exactly one JSON object."""
    assert stdout.count("\n") == 1
    reply = json.loads(stdout)
    assert list(reply) == ["error"]
    assert list(reply["error"]) == ["kind", "message", "hint", "next"]
    return dict(reply["error"])


def test_no_verb_at_all_shows_the_help(tmp_path: Path) -> None:
    done = cli(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: sandbox-ops VERB [JOB] [--options]")
    assert all(f"  {verb} " in done.stdout for verb in VERBS)
    assert cli("--help", cwd=tmp_path).stdout == done.stdout


def test_the_list_names_every_verb_and_what_it_does(tmp_path: Path) -> None:
    done = cli("--list", "--list-format", "json", cwd=tmp_path)
    output = {task["name"]: task["help"] for task in json.loads(done.stdout)["tasks"]}
    assert set(output) == VERBS
    assert all(output.values())


def test_the_version_is_reported(tmp_path: Path) -> None:
    assert cli("--version", cwd=tmp_path).stdout.startswith("sandbox-ops 0.")


@pytest.mark.parametrize(
    ("verb", "usage"),
    [
        ("logs", "Usage: sandbox-ops logs JOB [--options]"),
        ("fetch", "Usage: sandbox-ops fetch [JOB|PATH] [--options]"),
        ("run", "Usage: sandbox-ops run [--options] [-- COMMAND...]"),
        ("jobs", "Usage: sandbox-ops jobs [GROUP] [--options]"),
    ],
)
def test_the_help_of_a_verb_shows_what_may_follow_it(
    tmp_path: Path, verb: str, usage: str
) -> None:
    after, before = cli(verb, "-h", cwd=tmp_path), cli("--help", verb, cwd=tmp_path)
    assert after.returncode == 0
    assert after.stdout.startswith(f"{usage}\n")
    assert "--sandbox=NAME" in after.stdout
    assert "--json" in after.stdout
    assert before.stdout == after.stdout


def test_the_help_of_an_option_shows_what_it_takes_though_it_may_be_repeated(
    tmp_path: Path,
) -> None:
    shown = cli("train", "--help", cwd=tmp_path).stdout
    for option in ("--set=NAME=VALUE", "--env=NAME", "--force=NAME", "--gpus=N"):
        assert option in shown
    assert "STRING" not in shown
    assert "--grace=SECONDS" in cli("stop", "--help", cwd=tmp_path).stdout


def test_the_help_of_every_verb_fits_into_80_columns(tmp_path: Path) -> None:
    for verb in sorted(VERBS):
        shown = cli(verb, "--help", cwd=tmp_path).stdout
        assert [line for line in shown.splitlines() if len(line) > 80] == [], verb


def test_help_has_a_line_for_every_option(tmp_path: Path) -> None:
    for verb in sorted(VERBS):
        _, _, options = cli(verb, "--help", cwd=tmp_path).stdout.partition("Options:")
        for line in options.splitlines():
            fields = line.split("   ")
            assert len([word for word in fields if word.strip()]) != 1 or (
                line.startswith(" " * 10)
            ), f"{verb}: no help for {line.strip()}"


def test_an_unknown_verb_gets_a_near_one_and_exit_2(tmp_path: Path) -> None:
    done = cli("trian", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: there is no verb `trian`\n"
        "hint: did you mean `train`? every verb: sandbox-ops --list\n"
    )


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("status", "monitor` or `jobs"), ("ps", "jobs"), ("kill", "stop JOB"),
        ("cancel", "stop JOB"), ("tail", "logs JOB --follow"),
        ("attach", "logs JOB --follow"), ("exec", "run -- COMMAND"), ("scp", "fetch"),
        ("cp", "fetch"), ("download", "fetch"), ("upload", "sync --push"),
        ("ls", "jobs`; for files `run -- ls"), ("ssh", "shell"),
    ],
)  # fmt: skip
def test_a_verb_of_another_program_is_answered_with_ours(
    tmp_path: Path, word: str, meant: str
) -> None:
    done = cli(word, "remote-1", cwd=tmp_path)
    assert done.returncode == 2
    assert f"hint: did you mean `{meant}`? every verb" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("trian", "--json"), "there is no verb `trian`"),
        (("logs", "--json"), "`logs` needs a job"),
        (("stop", "--json"), "`stop` needs a job"),
        (("run", "--json"), "`run` needs a command"),
        (("jobs", "--lmit", "3", "--json"), "`jobs` has no option --lmit"),
        (("jobs", "--json", "--limit", "x"), "--limit takes a whole number, not `x`"),
        (
            ("sync", "train", "--json"),
            "--json takes one verb a call, not 2: sync, train",
        ),
        (("train", "--json", "--set", "a"), "--set takes NAME=VALUE, not `a`"),
        (("train", "--json", "--time", "x"), "--time takes a span of time, not `x`"),
        (("train", "--json", "--gpus", "x"), "--gpus takes a whole number, not `x`"),
        (("monitor", "--json", "--watch"), "--json is one look, --watch is many"),
        (("monitor", "--json", "--interval=0"), "--interval takes seconds, not 0.0"),
        (("logs", "x", "-f", "--json"), "--json is one answer, --follow is a stream"),
    ],
)
def test_a_usage_error_is_one_json_object_and_words_on_stderr(
    tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    done = cli(*words, cwd=tmp_path)
    assert done.returncode == 2
    error = error_of(done.stdout)
    assert (error["kind"], error["message"]) == ("usage", message)
    assert error["hint"]
    assert done.stderr.startswith(f"error: {message}\nhint: ")


def test_json_after_two_dashes_belongs_to_the_command(tmp_path: Path) -> None:
    done = cli("jobs", "--", "--json", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_without_a_sandbox_the_error_is_config_and_78(tmp_path: Path) -> None:
    done = cli("jobs", "--json", cwd=tmp_path)
    assert done.returncode == 78
    error = error_of(done.stdout)
    assert error["kind"] == "config"
    assert error["hint"]
    assert f"error: {error['message']}" in done.stderr


def test_a_machine_that_refuses_is_connect_and_255(tmp_path: Path) -> None:
    done = cli("jobs", "--json", cwd=tmp_path, env={"SSH_HOST": "rosa@127.0.0.1:1"})
    assert done.returncode == 255
    assert error_of(done.stdout)["kind"] in {"connect", "host-key"}


@pytest.mark.parametrize("words", ['["--list"]', '["--help", "train"]', '["trian"]'])
def test_what_needs_no_machine_loads_no_heavy_library(
    tmp_path: Path, words: str
) -> None:
    script = (
        "import sys, json\n"
        "from sandbox_ops.tasks import main\n"
        f"sys.argv = ['sandbox-ops', *{words}]\n"
        "try:\n    main()\n"
        "finally:\n"
        "    heavy = {'rich', 'fabric', 'mcp', 'paramiko', 'asyncssh', 're2'}\n"
        "    print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.endswith("[]\n")


def test_the_list_of_the_verbs_loads_none_of_their_work(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from sandbox_ops.tasks import main\n"
        "sys.argv = ['sandbox-ops', '--list']\n"
        "try:\n    main()\n"
        "finally:\n"
        "    print([m for m in sys.modules if m.startswith('sandbox_ops.')],"
        " file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(ast.literal_eval(done.stderr))
    assert "sandbox_ops.tasks" in loaded
    work = {"models", "render", "text", "sandbox", "cli.views", "cli.installing"}
    assert not loaded & {f"sandbox_ops.{name}" for name in work}


def test_next_steps_are_values_beside_the_hint(tmp_path: Path) -> None:
    error = error_of(cli("logs", "--json", cwd=tmp_path).stdout)
    assert error["next"] == [
        {"verb": "logs", "arguments": {"job": "remote-1"}},
        {"verb": "jobs", "arguments": {}},
    ]
    assert "sandbox-ops logs remote-1" in error["hint"]


def test_an_unknown_list_format_is_a_usage_error(tmp_path: Path) -> None:
    done = cli("--list", "--list-format", "xml", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: --list-format takes flat, nested or json, not `xml`" in done.stderr


def test_a_reader_who_leaves_ends_the_program_quietly(tmp_path: Path) -> None:
    with Child(
        [PROGRAM, "--help"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 141


def test_a_bug_of_ours_is_internal_with_a_traceback(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from sandbox_ops.cli.face import verb\n"
        "from invoke import Collection\n"
        "from sandbox_ops.cli import program\n"
        "def broken(context, *, sandbox='', json=False):\n"
        "    'Break.'\n"
        "    raise ValueError('a bug')\n"
        "sys.argv = ['sandbox-ops', 'broken', '--json']\n"
        "program.main(Collection(verb('reads')(broken)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 70
    assert error_of(done.stdout) == {
        "kind": "internal",
        "message": "ValueError: a bug",
        "hint": "this is a bug of sandbox-ops: report it with the traceback above",
        "next": [],
    }
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert "error: ValueError: a bug\nhint: " in done.stderr


def test_plain_inv_takes_the_same_verbs_and_ends_with_our_codes(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("from sandbox_ops.tasks import ns\n")
    listed = cli("--list", cwd=tmp_path, program=INV)
    assert all(f"  {verb} " in listed.stdout for verb in VERBS)
    missing = cli("logs", cwd=tmp_path, program=INV)
    assert missing.returncode == 2
    assert missing.stderr.startswith("error: `logs` needs a job\nhint: ")
    unconfigured = cli("stop", "--job", "remote-1", "--json", cwd=tmp_path, program=INV)
    assert unconfigured.returncode == 78
    assert error_of(unconfigured.stdout)["kind"] == "config"


def test_our_own_tasks_file_serves_inv() -> None:
    listed = cli("--list", cwd=REPOSITORY, program=INV)
    assert all(f"  {verb} " in listed.stdout for verb in VERBS)


def test_somebodys_own_tasks_can_hold_ours(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        "from invoke import Collection\n"
        "from sandbox_ops import tasks\n"
        "ns = Collection()\n"
        "ns.add_collection(Collection.from_module(tasks, name='gpu'))\n"
    )
    listed = cli("--list", cwd=tmp_path, program=INV)
    assert all(f"  gpu.{verb} " in listed.stdout for verb in VERBS)
