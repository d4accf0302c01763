"""`dataclass(frozen=True, slots=True)` as the standard library has it, at a tenth of its price.

The library writes and compiles up to six functions for each class when it is defined: 0.4 ms
each, a quarter of the processor's time that a whole command took. Here classes share
their functions but for `__init__`, which is compiled when the first value is made. Fields,
defaults, errors and what a value can do are the same. For other classes (mutable, without
slots) there is the library's own decorator.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *, frozen: bool, slots: bool, kw_only: bool = False
    ) -> Callable[[type], type]:
        """Return the decorator of a class whose values do not change.

        Args:
            frozen: True.
            slots: True.
            kw_only: Whether all fields are given by name.
        """
        if not (frozen and slots):
            raise TypeError("for other classes there is dataclasses.dataclass")
        library = dataclasses.dataclass(
            init=False, repr=False, eq=False, slots=True, kw_only=kw_only
        )
        return lambda cls: _completed(library(cls))


def _completed(cls: Any) -> Any:  # noqa: ANN401 - a class, whose functions are set
    """Give a class what the library would have compiled for it, but for its own."""

    def __init__(self: Any, *values: Any, **named: Any) -> None:  # noqa: ANN401, N807
        cls.__init__ = _compiled_init(cls)
        cls.__init__(self, *values, **named)

    for name, function in {"__init__": __init__, **_SHARED}.items():
        # a class with an `__eq__` of its own has None for its hash
        if vars(cls).get(name) is None:
            setattr(cls, name, function)
    return cls


def _compiled_init(cls: Any) -> Callable[..., None]:  # noqa: ANN401
    """Return the `__init__` of a class: one parameter a field, in the library's order."""
    scope: dict[str, Any] = {"__set": object.__setattr__}
    parameters: list[str] = []
    lines: list[str] = []
    fields = sorted(dataclasses.fields(cls), key=lambda field: bool(field.kw_only))
    for field in fields:
        name = value = field.name
        parameter = name
        if field.kw_only and "*" not in parameters:
            parameters.append("*")
        if field.default_factory is not dataclasses.MISSING:
            scope[f"__make_{name}"] = field.default_factory
            scope["__not_given"] = dataclasses.MISSING
            parameter = f"{name}=__not_given"
            value = f"__make_{name}() if {name} is __not_given else {name}"
        elif field.default is not dataclasses.MISSING:
            scope[f"__default_{name}"] = field.default
            parameter = f"{name}=__default_{name}"
        parameters.append(parameter)
        lines.append(f" __set(self, {name!r}, {value})")
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    source = f"def __init__({', '.join(('self', *parameters))}):\n"
    exec(source + "\n".join(lines or [" pass"]), scope)  # noqa: S102 - names of our fields
    init: Callable[..., None] = scope["__init__"]
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    return init


@functools.cache
def _compared_names(cls: Any) -> tuple[str, ...]:  # noqa: ANN401
    return tuple(field.name for field in dataclasses.fields(cls) if field.compare)


def _compared(value: Any) -> tuple[Any, ...]:  # noqa: ANN401
    return tuple([getattr(value, name) for name in _compared_names(value.__class__)])


def _eq(self: Any, other: Any) -> Any:  # noqa: ANN401
    if type(other) is not type(self):
        return NotImplemented
    return _compared(self) == _compared(other)


def _hash(self: Any) -> int:  # noqa: ANN401
    return hash(_compared(self))


def _repr(self: Any) -> str:  # noqa: ANN401
    shown = (field.name for field in dataclasses.fields(self) if field.repr)
    fields = ", ".join(f"{name}={getattr(self, name)!r}" for name in shown)
    return f"{self.__class__.__qualname__}({fields})"


def _refuse_to_set(self: Any, name: str, value: Any) -> None:  # noqa: ANN401, ARG001
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(self: Any, name: str) -> None:  # noqa: ANN401, ARG001
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:  # noqa: ANN401
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:  # noqa: ANN401
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)


_SHARED: dict[str, Any] = {
    "__repr__": _repr,
    "__eq__": _eq,
    "__hash__": _hash,
    "__setattr__": _refuse_to_set,
    "__delattr__": _refuse_to_delete,
    "__getstate__": _state,
    "__setstate__": _set_state,
}
