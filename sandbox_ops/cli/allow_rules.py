"""An agent's own permission rules that are safe to give: the verbs that only read. Pure.

Rules of hosts look at how a command begins. `sandbox-ops run` begins the same whatever it
runs, so no rule for it is safe; what only reads is a verb of its own.
"""

import json

HOSTS = ("claude", "codex", "gemini")

READING_VERBS = ("jobs", "logs", "monitor", "runs", "show", "diff", "doctor", "audit")
READING_TOOLS = (
    *("remote_bash_output", "remote_file_read", "remote_monitor", "remote_runs"),
)


def rules(host: str) -> tuple[str, str]:
    """Return the rules as the host reads them, and the file that they belong into."""
    if host == "claude":
        allowed = [f"Bash(sandbox-ops {verb}:*)" for verb in READING_VERBS]
        allowed += [f"mcp__sandbox-ops__{tool}" for tool in READING_TOOLS]
        return _json({"permissions": {"allow": allowed}}), "~/.claude/settings.json"
    if host == "codex":
        lines = (
            f'prefix_rule(pattern=["sandbox-ops", "{verb}"], decision="allow")\n'
            for verb in READING_VERBS
        )
        return "".join(lines), "~/.codex/rules/default.rules"
    allowed = [f"run_shell_command(sandbox-ops {verb})" for verb in READING_VERBS]
    return _json({"tools": {"allowed": allowed}}), "~/.gemini/settings.json"


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
