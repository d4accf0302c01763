"""The verbs about runs as processes: what people read, what programs get, how they end."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from command_line import cli
from each_link import ThisComputer
from gitproject import make_git_project

TRAINING = """
import sys
for step in range(1, 101):
    print(f"step {step}/100 loss={float(sys.argv[1]) + 1 / step:.3f}", flush=True)
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with two runs on a machine that is gone, and the machine of the tests."""
    folder = tmp_path_factory.mktemp("runs")
    project = make_git_project(folder / "git", "bucket")
    project.commit({"train.py": TRAINING}, push=True)
    machine = ThisComputer(folder / "home", "command")
    machine.write_toml(project.clone)
    assert cli("setup", cwd=project.clone).returncode == 0
    for lr in ("0.5", "0.1"):
        words = ("--set", f"lr={lr}", "--gpus", "0", "--name", f"lr{lr}")
        command = ("--command", "python3 train.py {lr}")
        done = cli("train", "--watch", *words, *command, cwd=project.clone)
        assert done.returncode == 0, done
    assert cli("tag", "lr0.5", "baseline", cwd=project.clone).returncode == 0
    assert cli("note", "2", "the better one", cwd=project.clone).returncode == 0
    assert cli("runs", cwd=project.clone).returncode == 0
    draw(project.clone)
    machine.close()
    return project.clone


def draw(clone: Path) -> None:
    """Plot while the machine is there: in a pipe, and into a file."""
    done = cli("plot", "lr0.5", "lr0.1", "--smooth", "0.5", cwd=clone)
    assert done.returncode == 0, done
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout
    assert re.search(r"^a remote-1 lr=0\.5 loss 0\.51$", done.stdout, re.MULTILINE)
    plain = cli("plot", "last", cwd=clone, env={"PYTHONIOENCODING": "ascii"})
    assert plain.returncode == 0, plain
    assert plain.stdout.isascii()
    assert "*" in plain.stdout
    value = answer("plot", "1", "2", "--out", "loss.svg", cwd=clone)
    assert value["out"] == str(clone / "loss.svg")
    assert [len(each["points"]) for each in value["series"]] == [100, 100]
    assert "<svg" in (clone / "loss.svg").read_text()


def answer(*arguments: str, cwd: Path, code: int = 0) -> dict[str, Any]:
    """The one JSON object of a call."""
    done = cli(*arguments, "--json", cwd=cwd)
    assert done.returncode == code, done
    assert done.stdout.count("\n") == 1
    output = json.loads(done.stdout)
    assert isinstance(output, dict)
    return output


def test_runs_are_a_table_and_a_machine_that_is_gone_is_said_so(clone: Path) -> None:
    done = cli("runs", "--sort", "loss", cwd=clone)
    assert done.returncode == 0
    head, second, first, warning = done.stdout.splitlines()
    assert head.split()[:4] == ["RUN", "NAME", "STATE", "METRICS"]
    assert second.split()[:5] == ["remote-2", "lr0.1", "succeeded", "loss", "0.11"]
    assert "the better one" in second
    assert "baseline" in first
    assert warning.startswith("warning: test cannot be reached: ")
    assert "; its runs as they were 20" in warning


def test_what_the_clone_remembers_needs_no_machine(clone: Path) -> None:
    value = answer("runs", "--local", "--where", "lr<0.3", cwd=clone)
    (run,) = value["runs"]
    assert (run["id"], run["settings"], run["note"]) == (
        "remote-2",
        {"lr": "0.1"},
        "the better one",
    )
    assert run["metrics"] == {"loss": 0.11}
    assert value["total"] == 1
    assert value["unreachable"] == {}
    assert answer("runs", "--local", "--tag", "baseline", cwd=clone)["total"] == 1
    assert answer("runs", "--local", "--since", "2d", cwd=clone)["total"] == 2
    assert answer("runs", "--local", "--since", "2999-01-01", cwd=clone)["total"] == 0


def test_runs_of_one_machine_do_not_hold_those_of_another(clone: Path) -> None:
    arguments = ("runs", "--local", "--sandbox")
    assert answer(*arguments, "test", cwd=clone)["total"] == 2
    assert answer(*arguments, "another", cwd=clone)["total"] == 0


def test_show_and_diff_are_words_and_one_object(clone: Path) -> None:
    shown = cli("show", "lr0.5", "--local", cwd=clone).stdout
    assert re.search(r"^settings +lr=0\.5$", shown, re.MULTILINE)
    assert re.search(r"^python +Python 3", shown, re.MULTILINE)
    assert re.search(
        r"^variables +PYTHONUNBUFFERED, SANDBOX_COMMIT", shown, re.MULTILINE
    )
    facts, _, _ = shown.partition("\nOUTPUT ")
    assert len({re.match(r"\S.*?  +", line).end() for line in facts.splitlines()}) == 1  # type: ignore[union-attr]
    assert not re.search(r'[\[{]"', shown), "raw JSON"
    value = answer("show", "lr0.5", "--local", cwd=clone)
    assert value["record"]["command"] == "python3 train.py 0.5"
    value = answer("diff", "lr0.5", "lr0.1", "--local", cwd=clone)
    assert value["commit"] is None
    assert value["settings"] == {"lr": ["0.5", "0.1"]}
    assert value["metrics"] == {"loss": [0.51, 0.11]}
    table = cli("diff", "lr0.5", "lr0.1", "--local", cwd=clone).stdout
    assert re.search(r"^settings\.lr +0\.5 +0\.1$", table, re.MULTILINE)


def test_runs_are_exported_to_standard_output_and_to_a_file(clone: Path) -> None:
    done = cli("export", "--local", "--sort", "lr", cwd=clone)
    assert done.stdout.splitlines()[0].startswith("id,sandbox,name,group,state")
    assert done.stdout.count("\n") == 3
    value = answer("export", "--local", "--into", "runs.csv", cwd=clone)
    assert (value["runs"], value["into"]) == (2, str(clone / "runs.csv"))
    again = cli("export", "--local", "--into", "runs.csv", cwd=clone)
    assert again.returncode == 75
    assert "--overwrite" in again.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("show",), 2, "`show` needs a run"),
        (("diff", "remote-1"), 2, "`diff` needs two runs, and got 1"),
        (("diff", "lr0.1", "last", "--local"), 2, "are the same run, test:remote-2"),
        (("show", "remote-77", "--local"), 66, "there is no run 'remote-77'"),
        (("runs", "--where", "lr"), 2, "--where takes NAME"),
        (("runs", "--since", "soon"), 2, "--since takes a span of time"),
        (("runs", "--since", "2026-13-45"), 2, "--since takes a date"),
        (("runs", "--state", "done"), 2, "there is no state `done`"),
        (("runs", "--sort", "los", "--local"), 66, "hint: Did you mean `loss`?"),
        (("runs", "--where", "lrr<1", "--local"), 66, "field `lrr`"),
        (("runs", "--group", "t9", "--local"), 66, "no run has the group `t9`"),
        (("export", "--sort", "nosuch", "--local"), 66, "      metrics: loss"),
        (("note", "remote-1"), 2, "`note` needs a run and a text"),
        (("tag", "remote-1"), 2, "`tag` needs a run and a tag"),
        (("rerun",), 2, "`rerun` needs a run"),
        (("plot", "last", "--out", "x.gif"), 2, "ends in .png or .svg"),
        (("plot", "last", "--smooth", "1"), 2, "--smooth takes 0 to less than 1"),
        (("export", "--format", "xml"), 2, "there is no format `xml`"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(
    clone: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    done = cli(*words, cwd=clone)
    assert (done.returncode, said in done.stderr) == (code, True), done
    assert done.stdout == ""


def test_a_machines_words_in_a_record_are_made_safe(clone: Path) -> None:
    history = clone / ".git/sandbox-ops/runs.jsonl"
    lines = history.read_text()
    evil = "\\u001b]0;title\\u0007\\u202e"
    history.write_text(lines.replace('"name": "lr0.5"', f'"name": "lr0.5{evil}"'))
    try:
        for words in (("runs",), ("show", "1"), ("diff", "1", "2"), ("export",)):
            done = cli(*words, "--local", cwd=clone)
            assert done.returncode == 0
            assert "\x1b" not in done.stdout
            assert "\u202e" not in done.stdout
    finally:
        history.write_text(lines)
