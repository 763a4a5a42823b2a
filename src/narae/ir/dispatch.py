"""`bind`: the one door through which every operation is applied to every kind of value.

An interpreter is registered for each kind of value. The highest one among the operands decides:
arrays compute (0), program values record (1), tensors differentiate (2).
"""

from collections.abc import Callable
from typing import Any

from .protocol import Operation

Interpreter = Callable[[Operation, tuple[Any, ...], dict[str, Any]], Any]

_NUMBER = (-1, None)
_interpreters: dict[type, tuple[int, Interpreter | None]] = {
    int: _NUMBER,
    float: _NUMBER,
    bool: _NUMBER,
    type(None): _NUMBER,
}
_without_operands: list[Interpreter] = []


def register_interpreter(kind: type, rank: int, interpreter: Interpreter) -> None:
    """Let `interpreter(operation, operands, attrs)` handle operands of a type."""
    _interpreters[kind] = (rank, interpreter)


def register_source(interpreter: Interpreter) -> None:
    """Let `interpreter` handle operations that have no operands (constants, iota)."""
    _without_operands[:] = [interpreter]


def bind(operation: Operation, *operands: Any, **attrs: Any) -> Any:
    """Apply an operation to arrays, program values or tensors, whichever they are."""
    best_rank, best = _NUMBER
    for operand in operands:
        entry = _interpreters.get(type(operand))
        if entry is None:
            entry = _entry_of_subclass(type(operand))
        if entry[0] > best_rank:
            best_rank, best = entry
    if best is None:
        best = _without_operands[0]
    return best(operation, operands, attrs)


def _entry_of_subclass(kind: type) -> tuple[int, Interpreter | None]:
    for parent in kind.__mro__:
        if parent in _interpreters:
            _interpreters[kind] = _interpreters[parent]
            return _interpreters[kind]
    raise TypeError(f"[bind] a {kind.__name__} is not a value that operations accept")
