"""Imports Invoke without what it needs for nothing that we do; to be imported before it.

Invoke takes `Mock` for its `MockContext`, which brings asyncio and ssl, and a YAML reader
for configuration files that our program does not read: together a quarter of the time
that `sandbox-ops --list` took. Both still work: they are imported when they are used.
"""

import importlib
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

_MOCK = "unittest.mock"
_YAML = "invoke.vendor.yaml"


class _OnFirstUse:
    """Finds the YAML reader, to be run when something of it is asked for."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Return where it is; None of every other module."""
        if name != _YAML:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = importlib.util.LazyLoader(spec.loader)
        return spec


def _mock(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - as the real one
    return importlib.import_module(_MOCK).Mock(*arguments, **options)


def _import() -> None:
    finder = _OnFirstUse()
    stand_in = ModuleType(_MOCK)
    stand_in.__dict__["Mock"] = _mock
    sys.meta_path.insert(0, finder)
    sys.modules[_MOCK] = stand_in
    try:
        importlib.import_module("invoke")
    finally:
        sys.meta_path.remove(finder)
        del sys.modules[_MOCK]


if "invoke" not in sys.modules and _MOCK not in sys.modules:
    _import()
