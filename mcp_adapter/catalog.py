"""What the tools are called, what they take, and the words a model reads about them.

Descriptions are prompts: hosts cut each at 2048 characters, and every token of them is
paid for in every conversation.
"""

from typing import Literal

from pydantic import Field

from mcp_adapter.tool_arguments import JobReference, Number, Text, ToolArguments, Truth
from sandbox_ops.errors import UsageError

Toolset = Literal["remote", "workflow"]

TOOLSETS: tuple[Toolset, ...] = ("remote", "workflow")


def seconds(timeout: int | None) -> float | None:
    """Return a timeout in seconds, which comes in milliseconds; None for none.

    Raises:
        UsageError: It is less than one.
    """
    if timeout is not None and timeout < 1:
        raise UsageError("`timeout` must be at least 1, in milliseconds")
    return timeout / 1000 if timeout else None


class RemoteBash(ToolArguments):
    tool_name = "remote_bash"
    action = "run"
    title = "Run a command on the sandbox"
    words = (
        "Run a bash command on the remote GPU machine. Answers stdout, then stderr;"
        " failure is an error that begins with `exit code N`. Every call is a new shell"
        " in the remote home, stdin empty: `cd` and export in the command itself, with"
        " absolute paths. Over 30,000 characters: head and tail, and how to read the"
        " rest. At the timeout the whole process tree is ended. Trainings, servers and"
        " all that takes minutes: run_in_background=true answers at once with an id"
        " like remote-1, for remote_bash_output. Jobs outlive this session; output is"
        " kept, so no nohup and no `| tee` (it hides the exit code)."
    )
    destructive = True

    command: Text
    description: Text = Field("", description="What it does, in 5-10 words")
    timeout: Number | None = Field(
        None,
        description="Milliseconds, hours are fine. Absent: 120000; none in background",
    )
    run_in_background: Truth = False


class RemoteBashOutput(ToolArguments):
    tool_name = "remote_bash_output"
    action = "logs"
    title = "Read a job's state and output"
    words = (
        "State, exit code, elapsed time and output of a job, running or ended. Without"
        " `since`: the end of its log. Each answer has a cursor; since=<cursor> gives"
        " only what is new."
    )
    reads_only = True

    bash_id: JobReference = Field(description="Such as remote-1")
    filter: Text = Field(
        "",
        description="RE2 pattern: only matching lines, from the last 8 MiB or from"
        " `since` on",
    )
    since: Text = Field("", description="Cursor of an earlier answer")


class RemoteFileRead(ToolArguments):
    tool_name = "remote_file_read"
    action = "read"
    title = "Read a file on the sandbox"
    words = (
        "Lines of a text file on the machine, numbered, from files of any size."
        " Neither offset nor limit: the first 2000 lines. `limit` alone: the LAST lines"
        " (logs)."
    )
    reads_only = True

    file_path: Text = Field(description="Absolute")
    offset: Number | None = Field(
        None, description="First line, from 1; negative counts from the end"
    )
    limit: Number | None = Field(None, description="How many lines")


TOOLS = (RemoteBash, RemoteBashOutput, RemoteFileRead)
