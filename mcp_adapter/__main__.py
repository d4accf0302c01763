"""`sandbox-ops-mcp`: the server and its options.

Where a module has to be named: `python -P -m mcp_adapter`. Without `-P` Python would
import a folder of that name from the working directory, which may be anybody's.
"""

import argparse
import math
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mcp_adapter import http_server, stdio_server
from mcp_adapter.catalog import TOOLSETS, Toolset
from sandbox_ops.errors import SandboxError
from sandbox_ops.guard import acts, bearer_token, http_serving, this_user
from sandbox_ops.machine import safe_log
from sandbox_ops.machine.sandboxes import Sandboxes
from sandbox_ops.text import remote_text

_TOKEN = "SANDBOX_OPS_MCP_TOKEN"  # noqa: S105 - the name of the variable


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Serve until the client leaves. Does not return.

    Args:
        argv: The arguments of the command line; those of the process where None.
    """
    options = _parser().parse_args(argv)
    try:
        safe_log.begin(options.log_file, "mcp_adapter")
    except OSError as error:
        sys.exit(f"sandbox-ops-mcp: cannot log to {options.log_file}: {error.strerror}")
    acts.identify("mcp")
    session = f"agent {secrets.token_hex(3)} of {this_user.name()}"
    sandboxes = Sandboxes(
        options.project, os.environ, options.sandbox, started_by=session
    )
    if options.http is None:
        stdio_server.serve(sandboxes, options.toolsets)
    try:
        secret = bearer_token.read(_TOKEN, options.token_file, os.environ)
        listening = http_serving.bound(options.http, options.port)
    except SandboxError as problem:
        sys.stderr.write(remote_text.safe(f"sandbox-ops-mcp: {problem}\n"))
        sys.exit(problem.exit_code)
    http_server.serve(
        sandboxes, options.toolsets, listening, secret, options.idle_timeout
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sandbox-ops-mcp",
        description="Serve remote_bash and four tools beside it over MCP on stdin and"
        " stdout. Hosts start it: sandbox-ops mcp-install.",
        epilog="Sandboxes come from sandbox.toml or SSH_HOST, as for sandbox-ops.",
    )
    parser.add_argument(
        "--sandbox", metavar="NAME", default="", help="offer this sandbox alone"
    )
    parser.add_argument(
        "--toolsets",
        metavar="LIST",
        type=_toolsets,
        default=("remote",),
        help="remote (the default), or remote,workflow: setup, sync, train, ... too",
    )
    parser.add_argument(
        "--project",
        metavar="DIR",
        type=Path,
        default=Path(),
        help="where the project is; without it the folder that this is started in",
    )
    _add_http_options(parser)
    parser.add_argument(
        "--log-file", metavar="PATH", type=Path, help="log more, and to a file too"
    )
    return parser


def _add_http_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--http",
        metavar="ADDRESS",
        nargs="?",
        const="127.0.0.1",
        help="serve HTTP on this computer instead, to clients with the token",
    )
    parser.add_argument(
        "--port", type=int, default=8931, help="of --http; 0 takes any that is free"
    )
    parser.add_argument(
        "--token-file",
        metavar="PATH",
        type=Path,
        help=f"holds the token of --http, readable by you alone; or {_TOKEN}",
    )
    parser.add_argument(
        "--idle-timeout",
        metavar="SECONDS",
        type=_seconds,
        default=http_server.IDLE_TIMEOUT_S,
        help="of --http: a session that nobody uses so long expires; 1800 without it",
    )


def _toolsets(text: str) -> tuple[Toolset, ...]:
    asked = {word.strip() for word in text.split(",") if word.strip()}
    unknown = sorted(asked.difference(TOOLSETS))
    if unknown or not asked:
        known = ", ".join(TOOLSETS)
        raise argparse.ArgumentTypeError(
            f"there is no toolset {(unknown or [text])[0]!r}; there are: {known}"
        )
    return tuple(name for name in TOOLSETS if name in asked)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError("must be more than 0")
    return seconds


if __name__ == "__main__":
    main()
