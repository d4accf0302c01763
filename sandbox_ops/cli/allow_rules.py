"""An agent's own permission rules that are safe to give: the verbs that only read. Pure.

Rules of hosts look at how a command begins. `sandbox-ops run` begins the same whatever it
runs, so no rule for it is safe; what only reads is a verb of its own, and no verb that
changes anything may follow it on one line (`argv.py`).
"""

import json

HOSTS = ("claude", "codex", "gemini")

READING_VERBS = ("jobs", "logs", "monitor", "runs", "show", "diff", "doctor", "audit")
READING_TOOLS = (
    *("remote_bash_output", "remote_file_read", "remote_monitor", "remote_runs"),
)
_SERVER = "sandbox-ops"


def rules(host: str) -> tuple[str, str]:
    """Return the rules as the host reads them, and the file that they belong into."""
    if host == "claude":
        allowed = [f"Bash(sandbox-ops {verb}:*)" for verb in READING_VERBS]
        allowed += [f"mcp__{_SERVER}__{tool}" for tool in READING_TOOLS]
        text = json.dumps({"permissions": {"allow": allowed}}, indent=2) + "\n"
        return text, "~/.claude/settings.json"
    if host == "codex":
        return _codex(), "~/.codex/rules/sandbox-ops.rules"
    return _gemini(), "~/.gemini/policies/sandbox-ops.toml"


def _codex() -> str:
    """A rule with alternatives; Codex checks its examples when it loads it."""
    return (
        "prefix_rule(\n"
        f'    pattern = ["sandbox-ops", {json.dumps(READING_VERBS)}],\n'
        '    decision = "allow",\n'
        '    justification = "These verbs only read.",\n'
        '    match = ["sandbox-ops jobs --json", "sandbox-ops logs last"],\n'
        '    not_match = ["sandbox-ops --sandbox gpu1 jobs"],\n'
        ")\n"
    )


def _gemini() -> str:
    """Rules of its policy engine: a prefix is held against the command's beginning."""
    prefixes = json.dumps([f"sandbox-ops {verb}" for verb in READING_VERBS])
    return (
        "[[rule]]\n"
        'toolName = "run_shell_command"\n'
        f"commandPrefix = {prefixes}\n"
        'decision = "allow"\n'
        "priority = 100\n"
        "\n"
        "[[rule]]\n"
        f'mcpName = "{_SERVER}"\n'
        f"toolName = {json.dumps(READING_TOOLS)}\n"
        'decision = "allow"\n'
        "priority = 100\n"
    )
