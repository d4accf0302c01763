"""Prompts: the patterns of the guide, for people to start (`/` in most hosts).

They cost nothing until somebody picks one. Each is one message to the model, in terms of
the tools, with the rules that are easily forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sandbox_ops.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSpec:
    """One prompt.

    Attributes:
        title: For people, with what it is for in `words`.
        arguments: What may be given, by name, in words. All may be left out.
        text: The message; a `{hole}` for each argument.
        absent: What stands in a hole where nothing was given.
    """

    name: str
    title: str
    words: str
    arguments: Mapping[str, str]
    text: str
    absent: Mapping[str, str]


CHANGE = PromptSpec(
    name="change_and_run",
    title="Code change to remote run",
    words="Make a change here, bring it to the sandbox, run it there",
    arguments={"change": "What to change", "command": "What to run there"},
    absent={"change": "the change we spoke of", "command": "the quickest check of it"},
    text="""\
Make this change in the local clone: {change}. Then see it work on the sandbox:
1. Edit, test what can be tested here, commit with a message that says why.
2. remote_sync(push=true). If it refuses, read why; never force, never edit there.
3. Run there: {command}. Up to a minute: remote_bash with `cd /workspace/REPO && ...`; \
longer: run_in_background=true, then remote_bash_output.
4. On failure fix it here and begin again at 1. Report the commit, the command and the \
lines of output that prove the result.""",
)
TRAINING = PromptSpec(
    name="long_training",
    title="Long training",
    words="Start a training of hours, watch it, stop early if it goes wrong",
    arguments={"command": "The training command", "name": "A name for the job"},
    absent={"command": "the configured command", "name": "a short one you choose"},
    text="""\
Run a long training on the sandbox. Command: {command}. Name: {name}.
1. remote_monitor: is a GPU free, is there disk, does something run already?
2. remote_sync(push=true), so that the run has a commit.
3. remote_train with that command and name. If it refuses, tell me why before you force.
4. After a minute remote_bash_output: did it get past imports and the first steps? Look \
at the loss, and for NaN and tracebacks.
5. Then look rarely: remote_monitor gives step, ETA and metrics in one call. Between two \
looks wait about a tenth of the ETA; the job needs nobody.
6. If it diverges, show me the lines, and offer remote_stop. At the end: exit code, last \
metrics, where the outputs are, remote_fetch.""",
)
TROUBLESHOOT = PromptSpec(
    name="troubleshoot",
    title="Troubleshoot",
    words="Find out why a job or the machine misbehaves",
    arguments={"job": "Such as remote-3", "symptom": "What is wrong"},
    absent={"job": "the newest job", "symptom": "it does not do what it should"},
    text="""\
Something is wrong on the sandbox with {job}: {symptom}. Find the cause before any cure:
1. remote_monitor: state, warnings, GPU, disk, who else is there.
2. remote_bash_output of the job, then with filter="Error|Traceback|nan|killed|CUDA"; \
remote_file_read on its log around the first error, which is the one that counts.
3. What ran: its commit and command are in run.json beside the log; is that the code we \
mean? Compare with `git log -1` there.
4. Check the likely causes by looking only (nvidia-smi, df -h, dmesg, free -g, python -c \
"import torch; ...").
5. Say what the cause is, how you know, and the smallest fix. Ask me before remote_stop \
or remote_reset: without confirm they only say what they would do.""",
)
RESULTS = PromptSpec(
    name="retrieve_results",
    title="Retrieve results",
    words="Bring models, logs and figures home, and say what they are",
    arguments={"job": "Such as remote-3"},
    absent={"job": "the newest training that succeeded"},
    text="""\
Bring the results of {job} home.
1. remote_bash_output: did it succeed, and what were its last metrics?
2. remote_fetch(bash_id=..., dry_run=true): what would come, how large? Ask me above 1 GiB.
3. remote_fetch(bash_id=...). Checkpoints are checksummed, nothing is overwritten; if it \
refuses, fetch `into` another folder.
4. Read the run record (run.json): commit, command, seed, machine. Report one table: \
commit, settings, final metrics, files and where they lie now.""",
)
FIRST = PromptSpec(
    name="first_setup",
    title="First-time set-up",
    words="From a new machine to a first run",
    arguments={},
    absent={},
    text="""\
Set this project up on the sandbox for the first time.
1. remote_monitor: does the machine answer, which GPUs, how much disk? If the host key is \
not known, show me the fingerprint and the `sandbox-ops trust` command; do not run it.
2. remote_setup. It may take minutes. If a step fails, read what it says and fix the \
cause in the repository (dependencies, lock file), not there.
3. A smoke test: remote_bash `cd /workspace/REPO && ...` with the smallest run.
4. Say what is installed where, and what sandbox.toml should hold ([project] outputs, \
[project.train] command); write it here and commit it if I agree.""",
)
PROMPTS = (CHANGE, TRAINING, TROUBLESHOOT, RESULTS, FIRST)


def filled(name: str, given: Mapping[str, str] | None) -> str:
    """Return the message of a prompt.

    Raises:
        UsageError: There is no such prompt, or it takes no such argument.
    """
    known = {prompt.name: prompt for prompt in PROMPTS}
    if name not in known:
        raise UsageError(f"Unknown prompt: {name[:80]}. There are: {', '.join(known)}.")
    prompt = known[name]
    said = {key: value.strip() for key, value in (given or {}).items()}
    for key in said.keys() - prompt.arguments.keys():
        takes = ", ".join(prompt.arguments) or "none"
        raise UsageError(f"{name} has no argument {key[:80]}. It takes: {takes}.")
    holes = {hole: said.get(hole) or words for hole, words in prompt.absent.items()}
    return prompt.text.format(**holes)
