"""Results with names: `values, indices = x.max(0)`, or `.values` and `.indices`."""

from collections import namedtuple
from typing import Any


def named_result(name: str, *fields: str) -> Any:
    """A tuple class whose text is PyTorch's for `torch.return_types`."""
    parent: Any = namedtuple(name, fields)  # type: ignore[misc]

    class Result(parent):
        """Several results of one function, by position or by name."""

        __slots__ = ()

        def __repr__(self) -> str:
            parts = [f"{field}={getattr(self, field)!r}" for field in fields]
            return f"narae.return_types.{name}(\n" + ",\n".join(parts) + ")"

        def __reduce__(self) -> Any:
            return rebuilt, (name, tuple(self))

    Result.__name__ = Result.__qualname__ = name
    _CLASSES[name] = Result
    return Result


_CLASSES: dict[str, Any] = {}


def rebuilt(name: str, items: tuple[Any, ...]) -> Any:
    """Unpickle a named result."""
    return _CLASSES[name](*items)
