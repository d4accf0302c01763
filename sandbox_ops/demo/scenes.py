"""The scenes of the demo: one verb each, shown with its report."""

import json
import time

from sandbox_ops.demo import curve, live, scenery
from sandbox_ops.demo.stage import DemoFailedError, Stage, fail, must
from sandbox_ops.machine import jobs
from sandbox_ops.models import Job, JobState
from sandbox_ops.text import formatting
from sandbox_ops.workflows.fetch import fetch
from sandbox_ops.workflows.reset import reset
from sandbox_ops.workflows.setup import setup
from sandbox_ops.workflows.sync import sync
from sandbox_ops.workflows.train import train

_FAR_TOO_MANY = 10_000_000


def up_to_the_training(stage: Stage, steps: int) -> Job:
    """Set up, bring the code there, start the training; return it.

    Raises:
        DemoFailedError: a report is not ok.
    """
    meet(stage)
    install(stage)
    change(stage)
    return begin(stage, steps)


def from_the_training_on(stage: Stage, job_id: str) -> None:
    """Watch the training, bring its results home, clean up.

    Raises:
        DemoFailedError: a report is not ok, or the training failed.
    """
    watch(stage, job_id)
    bring_home(stage)
    look(stage)
    clean_up(stage)


def meet(stage: Stage) -> None:
    """Show the machine and the project."""
    config = stage.sandbox.config
    stage.screen.scene(
        "A machine and a project",
        "A real SSH server on loopback, as you, with throw-away keys and an empty home. "
        "A bare repository plays GitHub; this is your clone of it.",
        "sandbox-ops run -- uname -sm",
    )
    result = stage.sandbox.run("uname -sm")
    if not result.ok:
        raise DemoFailedError("`run` failed", result.stderr.text)
    stage.screen.say(result.stdout.text.strip())
    stage.screen.facts(
        machine=f"{config.name}, which {config.ssh_config} knows",
        workspace=config.workspace,
        project=f"{stage.project.name}, branch {stage.project.branch}",
        files=" ".join(sorted(path.name for path in stage.clone.iterdir())),
    )


def install(stage: Stage) -> None:
    """Run `setup`, twice."""
    stage.screen.scene(
        "Set up",
        "Clone the project on the machine, install its environment, check that it works.",
        "sandbox-ops setup",
    )
    must("setup", setup(stage.sandbox, stage.project, on_step=stage.screen.step))
    begin = time.monotonic()
    again = setup(stage.sandbox, stage.project)
    must("setup", again)
    if any(step.result != "ok" for step in again.steps):
        fail("setup", again)
    seconds = formatting.duration(time.monotonic() - begin)
    stage.screen.good(f"once more: nothing to do, in {seconds}")


def change(stage: Stage) -> None:
    """Edit locally, commit, `sync`."""
    stage.screen.scene(
        "Change the code here, use it there",
        "An idea: let the model see four characters instead of three. Commit, push, and "
        "put the machine on exactly that commit.",
        "git commit --all && sandbox-ops sync --push",
    )
    scenery.edit(stage.clone, "train.py", "CONTEXT = 3", "CONTEXT = 4")
    scenery.commit(stage.clone, "See four characters")
    report = sync(stage.sandbox, stage.project, push=True)
    must("sync", report)
    before, after = map(formatting.short, (report.commit_before, report.commit_after))
    stage.screen.good(
        f"pushed {report.branch}; the machine went from {before} to {after}"
    )


def begin(stage: Stage, steps: int) -> Job:
    """Start the training with `train`."""
    stage.screen.scene(
        "Train",
        "Look before the start (disk, GPU, code), then run in the background. The job "
        "belongs to the machine: it goes on when this program or the link dies.",
        f"sandbox-ops train --name four --set steps={steps}",
    )
    report = train(
        stage.sandbox, stage.project, name="four", settings={"steps": str(steps)}
    )
    must("train", report)
    stage.screen.say(*(f"note: {warning}" for warning in report.warnings))
    stage.screen.good(f"started {formatting.job_line(report.job)}")
    return report.job


def watch(stage: Stage, job_id: str) -> None:
    """Follow it with `monitor`."""
    stage.screen.scene(
        "Watch",
        "That connection is closed now; a new one finds the job by its id. One look a "
        "moment: state, progress and metrics from the log, disk, load.",
        "sandbox-ops monitor --watch",
    )
    ended = live.follow(stage.screen, stage.sandbox, stage.project, job_id)
    if ended.state is not JobState.SUCCEEDED:
        log = jobs.output(stage.sandbox, job_id).data.decode("utf-8", "replace")
        raise DemoFailedError(f"the training {ended.words}", log)
    stage.screen.good(formatting.job_line(ended))


def bring_home(stage: Stage) -> None:
    """Run `fetch`."""
    stage.screen.scene(
        "Bring the results home",
        "The declared outputs, to the same places in your clone; every checksum checked.",
        "sandbox-ops fetch",
    )
    report = fetch(stage.sandbox, stage.project)
    must("fetch", report)
    stage.screen.table(
        ("FILE", "SIZE", "SHA-256"),
        (
            (file.path, formatting.size(file.size_bytes), file.sha256[:16])
            for file in report.files
        ),
    )


def look(stage: Stage) -> None:
    """Draw what came home."""
    results = stage.clone / "results"
    stage.screen.scene(
        "Look at them", f"The loss curve, also as a picture: {results / 'loss.png'}"
    )
    measured = curve.read(results / "metrics.csv")
    curve.picture(measured, results / "loss.png")
    stage.screen.say(curve.chart(measured))
    summary = json.loads((results / "summary.json").read_text("utf-8"))
    stage.screen.facts(loss=summary["loss"], it_writes=summary["sample"])


def clean_up(stage: Stage) -> None:
    """Make a mess on the machine, then `reset`."""
    stage.screen.scene(
        "Clean up",
        "Somebody left a training running, and edited the code on the machine. Stop all "
        "of it, rescue the edit to a backup ref, go back to the upstream commit.",
        "sandbox-ops reset",
    )
    settings = {"steps": str(_FAR_TOO_MANY)}
    must("train", train(stage.sandbox, stage.project, settings=settings))
    folder = stage.sandbox.project_path(stage.project)
    stage.sandbox.run("echo '# a quick hack' >> train.py", cwd=folder)
    report = reset(stage.sandbox, stage.project)
    must("reset", report)
    if not report.stopped or not report.backup_ref:
        fail("reset", report)
    stage.screen.good(f"stopped {', '.join(map(str, report.stopped))}")
    stage.screen.good(f"rescued the edit to {report.backup_ref}")
    stage.screen.good(f"back at {formatting.short(report.commit_after)}")
