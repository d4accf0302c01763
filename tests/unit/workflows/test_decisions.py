"""What the verbs decide, from values alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox_ops.errors import ConfigError, RefusedError, UsageError
from sandbox_ops.git.local import LocalTree
from sandbox_ops.machine import environment
from sandbox_ops.machine.repo import Tree
from sandbox_ops.models import (
    Disk,
    ForeignProcess,
    Gpu,
    GpuProcess,
    Job,
    JobState,
    LogDigest,
    MachineStatus,
    Project,
)
from sandbox_ops.remote import script_replies
from sandbox_ops.workflows import (
    monitor,
    outputs,
    preflight,
    record,
    template,
    train_objections,
)

GIB = 1 << 30


def gpu(index: int = 0, **changes: Any) -> Gpu:  # noqa: ANN401
    return Gpu(index=index, name="H100", **changes)


def job(number: int = 1, **changes: Any) -> Job:  # noqa: ANN401
    return Job(**({"id": f"remote-{number}", "state": JobState.RUNNING} | changes))


# -- the training command ---------------------------------------------------------


def test_holes_are_filled_and_quoted() -> None:
    command = "python t.py --steps {steps} --out m/{steps}.pt --note {note}"
    assert template.fill(command, {"steps": "50", "note": "a b; rm"}) == (
        "python t.py --steps 50 --out m/50.pt --note 'a b; rm'"
    )


def test_variables_and_doubled_braces_are_the_shells() -> None:
    assert template.fill("echo ${HOME} {{a,b}} {x}", {"x": "{y}"}) == (
        "echo ${HOME} {a,b} '{y}'"
    )


def test_a_setting_that_is_mistyped_is_named_before_those_that_are_missing() -> None:
    with pytest.raises(UsageError, match=r"no \{step\} to set") as caught:
        template.fill("t {steps}", {"step": "5"})
    assert "steps" in caught.value.hint


def test_a_missing_setting_names_every_one() -> None:
    with pytest.raises(UsageError, match="needs steps, lr") as caught:
        template.fill("t {steps} {lr} {seed}", {"seed": "1"})
    assert "sandbox-ops train --set steps=VALUE --set lr=VALUE" in caught.value.hint


@pytest.mark.parametrize("fill", [template.fill, template.fill_given])
def test_a_setting_without_a_hole_is_refused(fill: Any) -> None:  # noqa: ANN401
    with pytest.raises(UsageError, match=r"no \{step\} to set"):
        fill("t {steps}", {"steps": "1", "step": "2"})


def test_a_typed_command_is_the_shells_but_for_what_is_set() -> None:
    command = "awk '{print}' {x} ${x} {{y}}"
    assert template.fill_given(command, {}) == command
    assert template.fill_given(command, {"x": "1"}) == "awk '{print}' 1 ${x} {{y}}"


@given(st.text(), st.text())
def test_any_template_is_filled_or_refused(text: str, value: str) -> None:
    settings = dict.fromkeys(template.holes(text), value)
    template.fill(text, settings)
    template.fill_given(text, settings)


# -- GPUs, disk, code -------------------------------------------------------------


@pytest.mark.parametrize(
    "busy",
    [
        gpu(utilization_percent=90),
        gpu(memory_used_mib=40_000, processes=(GpuProcess(pid=435, name="python", memory_used_mib=40_000),)),
    ],
)  # fmt: skip
def test_a_busy_gpu_is_an_objection_that_can_be_forced(busy: Gpu) -> None:
    chosen, (objection,) = train_objections.choose(MachineStatus(gpus=(busy,)), None)
    assert chosen == (busy,)
    assert objection.force == "busy-gpu"
    assert "1 GPUs are wanted, 0 are free" in objection.message
    assert "GPU 0 H100: " in objection.message
    assert ("pid 435 python" in objection.message) == bool(busy.processes)


def test_the_free_one_of_two_is_taken() -> None:
    status = MachineStatus(gpus=(gpu(0, utilization_percent=50), gpu(1)))
    assert train_objections.choose(status, None) == ((gpu(1),), ())


def test_a_gpu_of_a_live_job_is_never_taken() -> None:
    claimed = job(gpus=(0,), name="night")
    chosen, (objection,) = train_objections.choose(
        MachineStatus(gpus=(gpu(0),), jobs=(claimed,)), None
    )
    assert chosen == ()
    assert "claimed by remote-1 night" in objection.message
    ended = job(gpus=(0,), state=JobState.SUCCEEDED)
    assert train_objections.choose(MachineStatus(gpus=(gpu(0),), jobs=(ended,)), None)[
        0
    ]


def test_idle_memory_and_unknown_figures_are_no_use() -> None:
    idle = gpu(utilization_percent=10, memory_used_mib=4)
    assert preflight.gpu_busy(idle, ()) == ""
    assert preflight.gpu_busy(gpu(), ()) == ""


def test_a_driver_that_does_not_answer_is_an_objection() -> None:
    status = MachineStatus(gpus=None, gpu_error="Unrecognised NVIDIA driver")
    for wanted in (None, 1):
        chosen, (objection,) = train_objections.choose(status, wanted)
        assert (chosen, objection.force) == ((), "gpu-driver")
        assert "Unrecognised NVIDIA driver" in objection.message
    assert train_objections.choose(status, 0) == ((), ())


def test_a_machine_without_gpus_needs_none() -> None:
    status = MachineStatus(gpus=None, gpu_error="nvidia-smi is not installed")
    assert train_objections.choose(status, None) == ((), ())
    assert train_objections.choose(status, 0) == ((), ())
    chosen, (objection,) = train_objections.choose(status, 2)
    assert (chosen, objection.force) == ((), "busy-gpu")
    assert "nvidia-smi is not installed" in objection.message


@pytest.mark.parametrize(
    ("disk", "words"),
    [
        (None, ""),
        (Disk(path="/w", free_bytes=50 * GIB, total_bytes=100 * GIB), ""),
        (Disk(path="/w", free_bytes=GIB // 2, total_bytes=GIB), "only 512 of 1024 MiB"),
        (Disk(path="/w", free_bytes=GIB, total_bytes=100 * GIB), "only 1024 of"),
        (Disk(path="/w", free_bytes=50 * GIB, total_bytes=60 * GIB, free_inodes=0), "no inodes"),
    ],
)  # fmt: skip
def test_a_low_disk_is_reported(disk: Disk | None, words: str) -> None:
    output = preflight.disk_low(disk)
    assert output.startswith(words)
    assert bool(output) == bool(words)


def test_code_there_that_is_not_the_code_here_is_reported() -> None:
    there = Tree(path="/w/x", head="a" * 40)
    local = LocalTree(root="/x", branch="main", commit="a" * 40, checked_out="main")
    assert train_objections.code_objections(there, local) == ()
    assert train_objections.code_objections(there, None) == ()
    behind = LocalTree(root="/x", branch="main", commit="b" * 40, checked_out="main")
    (objection,) = train_objections.code_objections(there, behind)
    assert objection.message == "/w/x is at aaaaaaaaaa, main here at bbbbbbbbbb"
    edited = Tree(path="/w/x", head="a" * 40, edits=(" M t.py",), unpushed=("abc x",))
    assert [o.force for o in train_objections.code_objections(edited, local)] == [
        "stale-code",
        "unpushed",
    ]


def test_only_jobs_that_use_the_tree_count() -> None:
    jobs = (
        job(1, project_path="/w/x", cwd="/"),
        job(2, cwd="/w/x/src"),
        job(3, cwd="/w/xy"),
        job(4, cwd="/w/x", foreground=True),
        job(5, project_path="/w/x", state=JobState.FAILED),
    )
    assert [j.id for j in preflight.jobs_using(jobs, "/w/x")] == [
        "remote-1",
        "remote-2",
    ]


# -- outputs ----------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["/etc", "../x", "a/../../b", "", "."])
def test_an_output_outside_of_the_project_is_named(bad: str) -> None:
    with pytest.raises(ConfigError, match="not a path below"):
        outputs.patterns(Project(outputs=("models/", bad)))


@pytest.mark.parametrize(
    ("path", "declared"),
    [
        ("models/a.pt", True),
        ("models/deep/a.pt", True),
        ("results/run1/m.json", True),
        ("results/run1/deep/m.json", False),
        ("conftest.py", False),
        ("Makefile", False),
        (".envrc", False),
        (".claude/settings.json", False),
        ("modelsx/a", False),
        ("models", True),
    ],
)
def test_only_what_was_declared_may_come(path: str, declared: bool) -> None:
    assert outputs.is_declared(path, ("models", "results/*/*.json")) is declared


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("models/a.pt", ""),
        ("models/.envrc", "its name begins with a dot"),
        ("models/.git-hooks/x", "its name begins with a dot"),
        ("models/x/.metadata", "its name begins with a dot"),
        (".cache/x.pt", ""),
        (".cache/.x", "its name begins with a dot"),
        ("ckpt/1/.metadata", ""),
        ("models/.keep", ""),
        ("models/README", "git tracks it here"),
        ("models/LICENSE", ""),
    ],
)
def test_names_with_a_dot_and_tracked_files_come_only_by_name(
    path: str, reason: str
) -> None:
    declared = (
        "models",
        ".cache",
        "ckpt/*/.metadata",
        "models/.keep",
        "models/LICENSE",
    )
    tracked = {"models/README", "models/LICENSE"}
    assert outputs.left_out(path, declared, tracked) == reason


def test_edits_of_outputs_alone_are_no_edits() -> None:
    edits = (
        " M results/a",
        "R  results/b -> results/c",
        "R  results/d -> code",
        " M x",
    )
    assert outputs.edits_without(edits, ("results",)) == edits[2:]


def test_outputs_cover_what_lies_in_them() -> None:
    kept = outputs.patterns(Project(outputs=("models/", "./runs/*.json")))
    assert kept == ("models", "runs/*.json")
    names = ("models/", "models/a/b.pt", "models.txt", "runs/1.json", "runs/1.txt")
    assert outputs.without(names, kept) == ("models.txt", "runs/1.txt")


# -- the run record ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "seed"),
    [
        ("t.py --seed 7 --x", 7),
        ("t.py --seed=8", 8),
        ("t.py seed=9", 9),
        ("t.py --reseed 1 --seed-list 2 seed=1.5", None),
    ],
)
def test_a_seed_is_taken_from_the_command(command: str, seed: int | None) -> None:
    assert record.seed(command) == seed


def test_a_patch_that_is_no_text_is_kept_too() -> None:
    assert set(record.files({}, None)) == {"run.json"}
    assert record.files({}, "é".encode())["dirty.patch"] == "é"
    assert record.files({}, b"\xff")["dirty.patch.base64"] == "/w==\n"


# -- monitor ----------------------------------------------------------------------


def test_a_job_is_shown_with_its_progress_and_warnings() -> None:
    status = MachineStatus(
        jobs=(job(2, elapsed_s=50.0), job(1, state=JobState.LOST, reason="reboot")),
        digests={"remote-2": LogDigest(tail=b"start\nstep 5/10 loss=nan\n")},
    )
    report = monitor.report("gpu1", status)
    first = report.as_json()["jobs"][0]
    assert (first["id"], first["state"]) == ("remote-2", "running")
    assert (first["progress"]["step"], first["progress"]["total"]) == (5, 10)
    assert first["metrics"] == {"loss": None}
    assert first["last_lines"] == ["start", "step 5/10 loss=nan"]
    assert report.warnings == ("remote-2: loss is nan", "remote-1 is lost (reboot)")


def test_the_last_lines_show_a_redrawn_progress_bar_once_as_it_is_now() -> None:
    tail = b"".join(f"\r{n}%|##  |".encode() for n in range(100))
    status = MachineStatus(
        jobs=(job(1),), digests={"remote-1": LogDigest(tail=b"epoch 1\n\n" + tail)}
    )
    (view,) = monitor.report("gpu1", status).jobs
    assert view.last_lines == ("epoch 1", "99%|##  |")


def test_ended_foreground_commands_are_not_shown() -> None:
    ended = {"state": JobState.SUCCEEDED}
    jobs = (
        *(job(n, foreground=True, **ended) for n in range(100, 140)),
        *(job(n, **ended) for n in range(40, 60)),
        job(1, foreground=True),
    )
    shown = [view.job.id for view in monitor.report("x", MachineStatus(jobs=jobs)).jobs]
    assert shown == [*(f"remote-{n}" for n in range(59, 49, -1)), "remote-1"]


def test_an_idle_gpu_warns_once_its_job_is_warm() -> None:
    idle = (gpu(utilization_percent=0),)
    for elapsed_s, warned in ((10.0, False), (100.0, True)):
        jobs = (job(gpus=(0,), elapsed_s=elapsed_s),)
        report = monitor.report("x", MachineStatus(jobs=jobs, gpus=idle))
        assert bool(report.warnings) == warned


def test_memory_that_others_hold_is_reported() -> None:
    held = gpu(processes=(GpuProcess(pid=9, name="python", memory_used_mib=700),))
    stranger = ForeignProcess(pid=9, user="bob", age_s=5, command="python train.py")
    report = monitor.report("x", MachineStatus(gpus=(held,), foreign=(stranger,)))
    assert report.warnings == (
        "GPU 0: 700 MiB are held by pid 9 of bob (python), which is not ours",
    )
    assert report.as_json()["foreign"][0]["user"] == "bob"


# -- the environment --------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "commands"),
    [
        ("uv_lock=yes requirements=yes uv=/u", ("uv sync --locked",)),
        (
            "requirements=yes builds=yes uv=/u",
            ("[ -d .venv ] || uv venv -q", "uv pip install -r requirements.txt"),
        ),
        (
            "builds=yes python=/p",
            (
                "[ -d .venv ] || python3 -m venv .venv",
                ".venv/bin/python -m pip install --no-input -e .",
            ),
        ),
        ("uv=/u python=/p", ()),
    ],
)
def test_the_most_exact_declaration_is_installed(
    declared: str, commands: tuple[str, ...]
) -> None:
    reply = script_replies.read("\n".join(["fingerprint=f", *declared.split()]))
    assert environment.environment(reply, (), "gpu1").commands == commands
    assert environment.environment(reply, ("make",), "gpu1").commands == ("make",)


@pytest.mark.parametrize("declared", ["uv_lock=yes", "requirements=yes"])
def test_what_is_missing_to_install_it_is_named(declared: str) -> None:
    reply = script_replies.read(f"fingerprint=f\n{declared}")
    with pytest.raises(RefusedError, match="installed on gpu1"):
        environment.environment(reply, (), "gpu1")


def test_files_that_a_command_names_are_part_of_the_fingerprint() -> None:
    commands = ("bash scripts/setup.sh --fast", "uv sync", "echo 'open")
    result = environment.named_files(commands)
    assert result == ("bash", "scripts/setup.sh", "sync", "uv")
