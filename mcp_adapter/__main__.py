"""`python -m mcp_adapter`, or `sandbox-ops-mcp`: the server on stdin and stdout."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mcp_adapter import serving
from mcp_adapter.machines import Machines


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Serve until the client leaves. Does not return.

    Args:
        argv: The arguments of the command line; those of the process where None.
    """
    options = _parser().parse_args(argv)
    _log(options.log_file)
    serving.serve(Machines(Path.cwd(), os.environ, options.sandbox))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sandbox-ops-mcp",
        description="Serve remote_bash, remote_bash_output and remote_file_read over"
        " MCP on stdin and stdout. Hosts start it; see the README for how.",
        epilog="Machines come from sandbox.toml or SSH_HOST, as for sandbox-ops.",
    )
    parser.add_argument(
        "--sandbox", metavar="NAME", default="", help="offer this sandbox alone"
    )
    parser.add_argument(
        "--log-file", metavar="PATH", type=Path, help="log more, and to a file too"
    )
    return parser


def _log(path: Path | None) -> None:
    """Log warnings to stderr; with a file, what happens there too."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stderr)]
    handlers[0].setLevel(logging.WARNING)
    if path is not None:
        try:
            handlers.append(logging.FileHandler(path, encoding="utf-8"))
        except OSError as error:
            sys.exit(f"sandbox-ops-mcp: cannot log to {path}: {error.strerror}")
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=handlers,
    )
    logging.getLogger("mcp_adapter").setLevel(logging.INFO)
    logging.getLogger("sandbox_ops").setLevel(logging.INFO)


if __name__ == "__main__":
    main()
