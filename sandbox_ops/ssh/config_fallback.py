"""What paramiko's parser of ssh_config passes over or misreads: said, where it is used.

It is used where no ssh client is installed; with one, `ssh -G` reads the files. Pure.
"""

import re
import shlex

from sandbox_ops.ssh.resolved_host import NOT_HONOURED, OFF
from sandbox_ops.text import address

_PARAMIKO_CRITERIA = frozenset(
    {"all", "canonical", "exec", "final", "host", "localuser", "originalhost", "user"}
)


def warnings_for_fallback(config_text: str, host: str) -> tuple[str, ...]:
    """Name what paramiko's parser passes over or misreads in an ssh_config file.

    Only lines that can concern `host` are looked at; a Match block can.
    """
    warnings = []
    concerns = True
    for number, line in enumerate(config_text.split("\n"), start=1):
        keyword, value = _directive(line)
        if keyword == "host":
            concerns = address.matches(value.replace('"', "").split(), host)
        elif keyword == "match":
            concerns = True
        why = _misread(keyword, value) if concerns else ""
        if why:
            warnings.append(f"line {number}: `{line.strip()}`: {why}")
    return tuple(warnings)


def _directive(line: str) -> tuple[str, str]:
    """Split `Keyword value` or `Keyword = value`."""
    match = re.match(r"\s*(\w+)(?:\s*=\s*|\s+)(.*\S)", line)
    return (match[1].lower(), match[2]) if match else ("", "")


def _misread(keyword: str, value: str) -> str:
    if keyword == "include":
        return "the file is not read"
    if keyword == "match":
        unknown = sorted(_criteria(value) - _PARAMIKO_CRITERIA)
        return f"taken as if {' and '.join(unknown)} matched" if unknown else ""
    if keyword == "proxycommand" and "%%" in value:
        return "%% is not expanded"
    off = value.lower() in OFF
    return "not carried out" if keyword in NOT_HONOURED and not off else ""


def _criteria(value: str) -> set[str]:
    """Return the names of a Match line's criteria, without their arguments."""
    try:
        criteria = shlex.split(value)
    except ValueError:  # an open quote: paramiko refuses the whole file
        return set()
    names = set()
    while criteria:
        name, equals, _ = criteria.pop(0).removeprefix("!").lower().partition("=")
        names.add(name)
        if not equals and name not in {"all", "canonical", "final"}:
            criteria = criteria[1:]
    return names
