"""Comparison, logic, bits, and questions about numbers."""

import math
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import BOOL, is_floating
from narae.base.errors import DTypeError, explain

from .creation import constant
from .eager import apply, as_operand, binary, binary_promoted, converted
from .methods import in_place
from .operands import common, deliver, dtype_name, operator, require_tensor, require_tensors
from .tensor import Tensor


def _comparison(operation: Any, name: str, text: str, swap: bool = False) -> Any:
    """A comparison of two operands in their common dtype."""
    run = binary(operation)

    def function(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        if not isinstance(input, Tensor):
            require_tensors(name, input, other, False, True)
        result = run(other, input) if swap else run(input, other)
        return result if out is None else deliver(result, out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


eq = _comparison(p.eq, "eq", "input == other, element by element.")
ne = not_equal = _comparison(p.ne, "ne", "input != other, element by element.")
lt = less = _comparison(p.lt, "lt", "input < other, element by element.")
le = less_equal = _comparison(p.le, "le", "input <= other, element by element.")
gt = greater = _comparison(p.lt, "gt", "input > other, element by element.", swap=True)
ge = greater_equal = _comparison(p.le, "ge", "input >= other, element by element.", swap=True)


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same numbers."""
    first, second = require_tensor(input, "equal")._array, require_tensor(other, "equal")._array
    return first.shape == second.shape and bool(np.all(first == second))


def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Whether |input - other| <= atol + rtol * |other|, element by element.

    Raises:
        TypeError: when the dtypes differ.
        ValueError: when a tolerance is negative.
    """
    if input._value.dtype != other._value.dtype:
        raise DTypeError(
            f"{dtype_name(input._value.dtype)} did not match {dtype_name(other._value.dtype)}"
        )
    if rtol < 0 or atol < 0:
        from narae.base.errors import ConfigError

        raise ConfigError(f"isclose: rtol and atol must be non-negative, got {rtol} and {atol}")
    same = eq(input, other)
    if equal_nan and is_floating(input._value.dtype):
        same = _or(same, _and(isnan(input), isnan(other)))
    first, second = (x if is_floating(x._value.dtype) else converted(x, np.dtype(np.float64))
                     for x in (input, other))  # fmt: skip
    allowed = apply(p.add, apply(p.mul, apply(p.abs_, second), rtol), atol)
    distance = apply(p.abs_, apply(p.sub, first, second))
    near = _and(apply(p.le, distance, allowed), isfinite(distance))
    return _or(same, _and(near, isfinite(second)))


def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether all elements are close (see `isclose`)."""
    return bool(np.all(isclose(input, other, rtol, atol, equal_nan)._array))


# --- what kind of number ---------------------------------------------------------------------


def isnan(input: Tensor) -> Tensor:
    """Whether each element is NaN."""
    return apply(p.ne, input, input)  # type: ignore[no-any-return]


def isfinite(input: Tensor) -> Tensor:
    """Whether each element is neither NaN nor infinite."""
    if not is_floating(input._value.dtype):
        return apply(p.eq, input, input)  # type: ignore[no-any-return]
    return apply(p.lt, apply(p.abs_, input), math.inf)  # type: ignore[no-any-return]


def isinf(input: Tensor) -> Tensor:
    """Whether each element is infinite."""
    if not is_floating(input._value.dtype):
        return apply(p.ne, input, input)  # type: ignore[no-any-return]
    return apply(p.eq, apply(p.abs_, input), math.inf)  # type: ignore[no-any-return]


def isposinf(input: Tensor) -> Tensor:
    """Whether each element is plus infinity."""
    return _is_value(input, math.inf)


def isneginf(input: Tensor) -> Tensor:
    """Whether each element is minus infinity."""
    return _is_value(input, -math.inf)


def _is_value(input: Tensor, number: float) -> Tensor:
    if not is_floating(input._value.dtype):
        return apply(p.ne, input, input)  # type: ignore[no-any-return]
    return apply(p.eq, input, number)  # type: ignore[no-any-return]


def isreal(input: Tensor) -> Tensor:
    """True everywhere: there are no complex numbers."""
    return apply(p.full, shape=tuple(input._value.shape), value=True, dtype=BOOL)  # type: ignore[no-any-return]


# --- logic -----------------------------------------------------------------------------------


def as_bool(x: Any) -> Tensor:
    """Whether each element is not zero."""
    x = as_operand(x, "bool")
    if not isinstance(x, Tensor):
        return constant(np.asarray(bool(x)))
    return x if x._value.dtype == BOOL else apply(p.ne, x, 0)


def _and(x: Tensor, y: Tensor) -> Tensor:
    return apply(p.and_, x, y)  # type: ignore[no-any-return]


def _or(x: Tensor, y: Tensor) -> Tensor:
    return apply(p.or_, x, y)  # type: ignore[no-any-return]


def _logic(operation: Any, name: str, text: str) -> Any:
    def function(input: Tensor, other: Any, *, out: Tensor | None = None) -> Tensor:
        require_tensors(name, input, other, False, False)
        result = binary_promoted(operation, as_bool(input), as_bool(other))
        return result if out is None else deliver(result, out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


logical_and = _logic(p.and_, "logical_and", "Whether both are not zero.")
logical_or = _logic(p.or_, "logical_or", "Whether one of them is not zero.")
logical_xor = _logic(p.xor, "logical_xor", "Whether exactly one of them is not zero.")


def logical_not(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Whether each element is zero."""
    return deliver(apply(p.not_, as_bool(input)), out, "logical_not")


# --- bits ------------------------------------------------------------------------------------


def _bits(operation: Any, name: str, text: str) -> Any:
    def function(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        require_tensors(name, input, other, True, True)
        first, second = common(name, input, other)
        for x in (first, second):
            if isinstance(x, float) or (isinstance(x, Tensor) and is_floating(x._value.dtype)):
                raise DTypeError(
                    explain(name, f'"{name}_cpu" not implemented for floating point operands',
                            "bits belong to integers and bools")
                )  # fmt: skip
        if (
            "shift" in name
            and (first if isinstance(first, Tensor) else second)._value.dtype == BOOL
        ):
            raise DTypeError(f"\"{name}\" not implemented for 'Bool'. Fix: convert with .int()")
        return deliver(binary_promoted(operation, first, second), out, name)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    return function


bitwise_and = _bits(p.and_, "bitwise_and", "The bits that both have.")
bitwise_or = _bits(p.or_, "bitwise_or", "The bits that one of them has.")
bitwise_xor = _bits(p.xor, "bitwise_xor", "The bits that exactly one of them has.")
bitwise_left_shift = _bits(p.shift_left, "bitwise_left_shift", "input * 2 ** other.")
bitwise_right_shift = _bits(p.shift_right, "bitwise_right_shift", "floor(input / 2 ** other).")


def bitwise_not(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """All bits inverted; `not` for bools.

    Raises:
        TypeError: for floating point tensors.
    """
    if is_floating(input._value.dtype):
        raise DTypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors"
        )
    return deliver(apply(p.not_, input), out, "bitwise_not")


# --- operators -------------------------------------------------------------------------------


OPERATORS = {
    "__eq__": operator(eq),
    "__ne__": operator(ne),
    "__lt__": operator(lt),
    "__le__": operator(le),
    "__gt__": operator(gt),
    "__ge__": operator(ge),
    "__and__": operator(bitwise_and),
    "__rand__": operator(bitwise_and),
    "__or__": operator(bitwise_or),
    "__ror__": operator(bitwise_or),
    "__xor__": operator(bitwise_xor),
    "__rxor__": operator(bitwise_xor),
    "__invert__": bitwise_not,
    "__iand__": in_place(bitwise_and, "bitwise_and_"),
    "__ior__": in_place(bitwise_or, "bitwise_or_"),
    "__ixor__": in_place(bitwise_xor, "bitwise_xor_"),
    "__ilshift__": in_place(bitwise_left_shift, "bitwise_left_shift_"),
    "__irshift__": in_place(bitwise_right_shift, "bitwise_right_shift_"),
    "__lshift__": operator(bitwise_left_shift),
    "__rshift__": operator(bitwise_right_shift),
    "__rlshift__": operator(bitwise_left_shift, reflected=True),
    "__rrshift__": operator(bitwise_right_shift, reflected=True),
}

__all__ = [
    "allclose", "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "eq", "equal", "ge", "greater", "greater_equal", "gt",
    "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf", "isreal", "le", "less",
    "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne",
    "not_equal",
]  # fmt: skip
METHODS = __all__
IN_PLACE = [
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "eq", "ge", "greater", "greater_equal", "gt", "le", "less", "less_equal",
    "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne", "not_equal",
]  # fmt: skip
