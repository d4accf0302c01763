"""What the tools are called, what they take, and the words a model reads about them.

Descriptions are prompts: hosts cut each at 2048 characters, and every token of them is
paid for in every conversation.
"""

from typing import Literal

from pydantic import Field

from mcp_adapter.tool_arguments import (
    JobReference,
    Number,
    Paths,
    Text,
    ToolArguments,
    Truth,
)
from sandbox_ops.errors import UsageError

Toolset = Literal["remote", "workflow"]

TOOLSETS: tuple[Toolset, ...] = ("remote", "workflow")


def seconds(value_ms: int | None, name: str = "timeout") -> float | None:
    """Return a time in seconds, which comes in milliseconds; None for none.

    Raises:
        UsageError: It is less than one.
    """
    if value_ms is not None and value_ms < 1:
        raise UsageError(f"`{name}` must be at least 1, in milliseconds")
    return value_ms / 1000 if value_ms else None


class RemoteBash(ToolArguments):
    tool_name = "remote_bash"
    action = "run"
    title = "Run a command there"
    words = (
        "Run a bash command on the remote GPU machine. Answers stdout, then stderr;"
        " failure is an error that begins with `exit code N`. Every call is a new"
        " shell, stdin empty: no cd or export stays. Long output: head and tail."
        " The timeout ends the whole process tree."
        " What takes minutes: run_in_background=true answers at once with an id"
        " like remote-1. Jobs outlive this session; output is kept: no nohup, no"
        " `| tee` (it hides the exit code)."
    )
    destructive = True
    on_words = "Several: a,b, a group, all"

    command: Text
    description: Text = Field("", description="In 5-10 words")
    timeout: Number | None = Field(
        None,
        description="Milliseconds. Absent: 120000; none in background",
    )
    run_in_background: Truth = False
    cwd: Text = Field("", description="Absolute, as {project}; absent: the home")


class RemoteBashOutput(ToolArguments):
    tool_name = "remote_bash_output"
    action = "logs"
    title = "Find, await, read jobs"
    words = (
        "State, exit code, elapsed time and the end of the log of a job. Without"
        " bash_id: the list of jobs. Never poll: `wait` answers when the job ends, a"
        " line matches `filter`, or a warning arises (NaN, traceback, stall)."
        " since=<cursor of an answer>: only what is new."
    )
    reads_only = True

    bash_id: JobReference = Field(
        "", description="remote-1, its number or name, last; to wait: several, a,b"
    )
    filter: Text = Field(
        "", description="RE2: only matching lines (last 8 MiB, or from `since`)"
    )
    since: Text = ""
    wait: Number | None = Field(
        None, description="Milliseconds at most; hours are fine"
    )
    limit: Number | None = Field(
        None, description="Lines, or jobs of the list; absent: about 3 kB"
    )

    @property
    def names(self) -> tuple[str, ...]:
        """What names the jobs."""
        return tuple(name.strip() for name in self.bash_id.split(",") if name.strip())


class RemoteFileRead(ToolArguments):
    tool_name = "remote_file_read"
    action = "read"
    on_words = None
    title = "Read a file there"
    words = (
        "Numbered lines of a text file there, of any size. Neither offset nor limit:"
        " the first 2000. `limit` alone: the LAST lines (logs)."
    )
    reads_only = True

    file_path: Text = Field(description="Absolute")
    offset: Number | None = Field(
        None, description="First line, from 1; negative counts from the end"
    )
    limit: Number | None = Field(None, description="How many lines")


class RemoteBashStop(ToolArguments):
    tool_name = "remote_bash_stop"
    action = "stop"
    title = "End a job"
    words = (
        "End a job with every process it started; what survives is named. One of"
        " another session needs confirm=true; without it: whose it is."
    )
    destructive = True

    bash_id: JobReference
    confirm: Truth = False


class RemoteFetch(ToolArguments):
    tool_name = "remote_fetch"
    action = "fetch"
    title = "Bring files home"
    words = (
        "Copy files from the machine into the local project, resumable; answers size"
        " and SHA-256 of each. Never overwrites a file that differs."
    )

    path: Paths = Field(
        (),
        description="Files, folders, globs below workspace or home. Absent: the"
        " declared outputs",
    )
    into: Text = Field(
        "", description="Local folder; absent: outputs in their place, else fetched/"
    )
    bash_id: JobReference = Field("", description="What this job wrote, and its log")
    dry_run: Truth = Field(False, description="Only list them")


TOOLS = (RemoteBash, RemoteBashOutput, RemoteFileRead, RemoteBashStop, RemoteFetch)
