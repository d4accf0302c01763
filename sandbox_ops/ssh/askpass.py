"""The passphrase of an encrypted key, asked for as ssh(1) does without a terminal."""

import os
import subprocess

_PATIENCE_S = 120


def passphrase(key_file: str) -> str | None:
    """Return what the SSH_ASKPASS program answers; None where none may be asked.

    We never prompt on a terminal: an MCP server has none, and a script waits for ever.
    By ssh(1) the program is used on a desktop, or where SSH_ASKPASS_REQUIRE says so.
    """
    program = os.environ.get("SSH_ASKPASS", "")
    required = os.environ.get("SSH_ASKPASS_REQUIRE", "")
    desktop = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not program or required == "never" or not (desktop or required):
        return None
    try:
        done = subprocess.run(
            [program, f"Enter passphrase for key '{key_file}': "],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            timeout=_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    answer = done.stdout.decode("utf-8", "replace").rstrip("\r\n")
    return answer if done.returncode == 0 and answer else None
