"""Which verb is meant by a word that is none: what other programs call it, or a slip. Pure."""

from collections.abc import Iterable, Mapping

_TO_LOOK = "monitor` or `jobs"
_TO_READ = "logs JOB"
_TO_FOLLOW = "logs JOB --follow"
_TO_RUN = "run -- COMMAND"
_TO_BRING = "fetch"
_TO_SEND = "sync --push"

MEANT: Mapping[str, str] = {
    **dict.fromkeys(("status", "stat", "top", "htop", "nvidia-smi", "gpu"), _TO_LOOK),
    **dict.fromkeys(("gpus", "dashboard", "info"), _TO_LOOK),
    **dict.fromkeys(("ps", "list", "queue", "squeue", "ls-jobs", "history"), "jobs"),
    **dict.fromkeys(("kill", "cancel", "scancel", "abort", "end", "rm"), "stop JOB"),
    **dict.fromkeys(("tail", "attach", "watch", "follow"), _TO_FOLLOW),
    **dict.fromkeys(("log", "cat", "output", "show"), _TO_READ),
    **dict.fromkeys(("exec", "cmd", "execute", "sh", "bash"), _TO_RUN),
    **dict.fromkeys(("download", "cp", "scp", "rsync", "get", "pull"), _TO_BRING),
    **dict.fromkeys(("upload", "push", "put", "deploy", "update"), _TO_SEND),
    **dict.fromkeys(("ssh", "connect"), "shell"),
    **dict.fromkeys(("start", "submit", "sbatch", "launch"), "train -- COMMAND"),
    **dict.fromkeys(("init", "clone", "install", "bootstrap"), "setup"),
    **dict.fromkeys(("check", "config", "ping", "test"), "doctor"),
    "ls": "jobs`; for files `run -- ls",
    "clean": "reset",
}
"""What a word of another program is here, as it is written after our name."""


def meant(word: str, verbs: Iterable[str]) -> str:
    """Return `did you mean ...? `, or "" where nothing is near.

    Args:
        word: What stands where a verb should.
        verbs: Those that there are.
    """
    import difflib  # only a mistake pays for it

    known = word.lower()
    if known in MEANT:
        return f"did you mean `{MEANT[known]}`? "
    nearest = difflib.get_close_matches(known, sorted(verbs), n=1)
    return f"did you mean `{nearest[0]}`? " if nearest else ""
