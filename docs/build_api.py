"""Writes the API reference into site/api, from the docstrings. `make docs`.

The names of `sandbox_ops` are imported when they are used; here they are looked up first,
for pdoc documents only what a module holds. A warning is an error.
"""

import importlib
import sys
from pathlib import Path

import pdoc

PUBLIC = (
    "sandbox_ops",
    "sandbox_ops.errors",
    "sandbox_ops.models",
    "sandbox_ops.machine",
    "sandbox_ops.workflows",
)


def main(folder: Path) -> None:
    """Write the pages of the public modules into a folder."""
    package = importlib.import_module("sandbox_ops")
    for name in package.__all__:
        setattr(package, name, getattr(package, name))
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc(*PUBLIC, output_directory=folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
