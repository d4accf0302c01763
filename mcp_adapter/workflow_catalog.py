"""The words of the second toolset: the verbs of the command line as tools.

Off unless asked for: an agent that has a local shell has them there, for no tokens.
"""

from pydantic import Field

from mcp_adapter.tool_arguments import (
    Choices,
    JobReference,
    Number,
    Paths,
    Settings,
    Text,
    ToolArguments,
    Truth,
)
from sandbox_ops.models.objections import FORCE_NAMES


class RemoteSetup(ToolArguments):
    tool_name = "remote_setup"
    action = "setup"
    title = "Set the project up on the sandbox"
    words = (
        "Clone the local project to the sandbox, install its environment, verify the"
        " GPU. Minutes the first time; a second when nothing changed."
    )


class RemoteSync(ToolArguments):
    tool_name = "remote_sync"
    action = "sync"
    title = "Bring the sandbox to the local commit"
    words = (
        "Bring the clone on the sandbox to exactly the local commit, through the git"
        " remote. Refuses what could lose work (uncommitted, unpushed, edited there,"
        " jobs using the tree) and says what to do."
    )

    push: Truth = Field(False, description="Push the local branch first")
    via_ssh: Truth = Field(False, description="Where no git server is reached there")
    dirty: Truth = Field(False, description="Also what is not committed; over ssh")


class RemoteTrain(ToolArguments):
    tool_name = "remote_train"
    action = "train"
    title = "Start a training"
    words = (
        "Start a training as a background job in the project there, on a free GPU, with"
        " a run record. Answers within seconds: id, commit, GPU, first lines. Refuses a"
        " busy GPU, stale code, a full disk, a running job of that name."
    )
    on_words = (
        "any, all, a group, or a,b: on the first of them that is free, set up first"
        " where needed; a sweep over all of them; with nodes or torchrun a node on each"
    )
    at_once = True

    command: Text = Field("", description="Absent: the configured one")
    name: Text = Field("", description="Of the job")
    settings: Settings | None = Field(
        None,
        description='Fills {holes} of the command: {"steps": 500000}. Lists: a sweep,'
        " one job for each combination, all asked for by `name`; what is done is skipped",
    )
    failed: Truth = Field(False, description="Of a sweep: also run failed cells again")
    again: Truth = Field(False, description="Of a sweep: also run done cells again")
    then: Text = Field("", description="Of a sweep: run this there when all have ended")
    dry_run: Truth = Field(False, description="Only show what would start")
    sync: Truth = Field(False, description="First push and sync")
    own_tree: Truth = Field(False, description="In a tree that no later sync changes")
    gpus: Number | None = Field(None, description="How many; absent: one if any")
    nodes: Number | None = Field(
        None, description="How many: machines of `on`, or nodes of a Slurm cluster"
    )
    torchrun: Truth = Field(False, description="Have torchrun run it, over all nodes")
    timeout: Number | None = Field(None, description="End it after these milliseconds")
    queue: Truth = Field(False, description="Wait for a GPU, instead of a refusal")
    after: Paths = Field((), description="Wait for the success of these jobs")
    retries: Number | None = Field(None, description="Attempts more where it fails")
    force: Choices(FORCE_NAMES) | None = Field(  # type: ignore[valid-type]
        None, description="Refusals to override; ask the user"
    )


class RemoteMonitor(ToolArguments):
    tool_name = "remote_monitor"
    action = "monitor"
    title = "Look at jobs, GPUs and disk"
    words = (
        "One look: every job with progress, ETA, metrics and last lines; GPUs, disk,"
        " load; what looks wrong (NaN, traceback, idle GPU, others' processes)."
    )
    reads_only = True
    on_words = "Instead of sandbox: all, a group, or a,b; which is free comes first"

    bash_id: JobReference = Field("", description="Only this job, or this sweep")


class RemoteReset(ToolArguments):
    tool_name = "remote_reset"
    action = "reset"
    title = "Go back to upstream on the sandbox"
    words = (
        "Stop our jobs in the clone, rescue edits and commits made there to a backup"
        " ref, go back to the upstream commit. Outputs stay."
    )
    destructive = True

    confirm: Truth = Field(False, description="Without it nothing is done, only told")


class RemotePut(ToolArguments):
    tool_name = "remote_put"
    action = "put"
    title = "Send files to the sandbox"
    words = (
        "Send a dataset, a file or folder of the local clone, to the machine: resumable,"
        " checksummed. Never replaces a file that differs. Code goes by remote_sync."
    )

    path: Text = Field(description="In the local clone")
    dest: Text = Field("", description="There; absent: the same path in the project")
    dry_run: Truth = Field(False, description="Only list them")


class RemoteRuns(ToolArguments):
    tool_name = "remote_runs"
    action = "runs"
    title = "List and compare trainings"
    words = (
        "Trainings with settings, commit, state, last and best metrics, newest first."
        " `run`: one with its record, or two to compare."
    )
    reads_only = True
    at_once = True

    run: Paths = Field((), description="remote-3, a name, last; two: what differs")
    where: Paths = Field((), description='["lr<1e-3", "loss<=0.5", "state=failed"]')
    group: Text = ""
    sort: Text = Field("", description="A metric, a setting or a field; best first")
    limit: Number | None = Field(None, description="Absent: 20; 0: all")


TOOLS = (
    *(RemoteSetup, RemoteSync, RemoteTrain, RemoteMonitor, RemoteReset),
    *(RemotePut, RemoteRuns),
)
