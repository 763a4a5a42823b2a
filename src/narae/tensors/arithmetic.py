"""Arithmetic of two operands and its operators, limits, mixtures, selection."""

from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import FLOAT64, category, is_floating, result_type
from narae.base.errors import DTypeError, ShapeError, explain

from .eager import apply, as_operand, binary, converted, no_number
from .methods import in_place
from .operands import (
    apply_common,
    as_float,
    common,
    deliver,
    numbers,
    operator,
    payload,
    refuse_dtype,
    require_tensor,
    require_tensors,
)
from .tensor import Tensor

_add, _sub, _mul, _div = binary(p.add), binary(p.sub), binary(p.mul), binary(p.div)
_pow, _atan2 = binary(p.pow_), binary(p.atan2)


# --- sums and products -----------------------------------------------------------------------


def add(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """input + alpha * other, broadcast.

    Args:
        input: a tensor or a number.
        other: a tensor or a number.
        alpha: a number; whole for integer tensors.
        out: a tensor to write the result into.

    >>> import narae
    >>> narae.add(narae.tensor([1, 2]), 10, alpha=2)
    tensor([21, 22])
    """
    if alpha.__class__ is not int or alpha != 1:
        other = _scaled(input, other, alpha)
    result = _add(input, other)
    return result if out is None else deliver(result, out, "add")


def _scaled(input: Any, other: Any, alpha: Any) -> Any:
    kind = category(result_type([payload(as_operand(x, "add")) for x in (input, other)]))
    if isinstance(alpha, bool) and kind > 0:
        raise DTypeError("Boolean alpha only supported for Boolean results.")
    if isinstance(alpha, float) and kind < 2:
        raise DTypeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    return other if alpha == 1 else _mul(other, alpha)


def sub(input: Any, other: Any, *, alpha: Any = 1, out: Tensor | None = None) -> Tensor:
    """input - alpha * other, broadcast.

    Raises:
        TypeError: for bool tensors, whose difference is `^`.
    """
    if _is_bool(input) or _is_bool(other):
        raise DTypeError(_bool_difference(_is_bool(input) and _is_bool(other)))
    if alpha.__class__ is not int or alpha != 1:
        other = _scaled(input, other, alpha)
    result = _sub(input, other)
    return result if out is None else deliver(result, out, "sub")


def _is_bool(x: Any) -> bool:
    return isinstance(x, bool) or (isinstance(x, Tensor) and x._value.dtype.kind == "b")


def _bool_difference(both: bool) -> str:
    if both:
        return (
            "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or "
            "`logical_xor()` operator instead."
        )
    return (
        "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to "
        "invert a mask, use the `~` or `logical_not()` operator instead."
    )


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """other - alpha * input."""
    require_tensor(input, "rsub")
    return sub(other, input, alpha=alpha)


def mul(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input * other, broadcast."""
    result = _mul(input, other)
    return result if out is None else deliver(result, out, "mul")


def div(
    input: Any, other: Any, *, rounding_mode: str | None = None, out: Tensor | None = None
) -> Tensor:
    """input / other, broadcast; integers give floats unless the quotient is rounded.

    Args:
        input: a tensor or a number.
        other: a tensor or a number.
        rounding_mode: None, "trunc" (toward zero, as in C) or "floor" (down, as in Python).
        out: a tensor to write the result into.

    Raises:
        RuntimeError: an integer is divided by zero and rounded.
    """
    if rounding_mode is None:
        result = _true_divide(input, other)
    else:
        result = _rounded_quotient(input, other, rounding_mode)
    return result if out is None else deliver(result, out, "div")


def _true_divide(input: Any, other: Any) -> Tensor:
    if isinstance(input, Tensor) and isinstance(other, Tensor):
        if input._value.dtype is other._value.dtype and input._value.dtype.kind == "f":
            return _div(input, other)
    first, second = common("div", input, other, floating=True)
    return _div(first, second)


def _rounded_quotient(input: Any, other: Any, rounding_mode: str) -> Tensor:
    if rounding_mode not in ("floor", "trunc"):
        raise ShapeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    first, second = common("div", input, other)
    check_divisor(first, second, "div_" + rounding_mode)
    if rounding_mode == "floor":
        return apply(p.floor_divide, first, second)  # type: ignore[no-any-return]
    if _is_floating(first) or _is_floating(second):
        return apply(p.trunc, apply(p.div, first, second))  # type: ignore[no-any-return]
    rest = apply(p.fmod, first, second)
    return apply(p.floor_divide, apply(p.sub, first, rest), second)  # type: ignore[no-any-return]


def _is_floating(x: Any) -> bool:
    return isinstance(x, float) or (isinstance(x, Tensor) and is_floating(x._value.dtype))


def check_divisor(first: Any, second: Any, name: str) -> None:
    """Refuse to divide integers by zero, and to divide bools.

    Raises:
        RuntimeError: "ZeroDivisionError", as PyTorch says.
    """
    if _is_floating(first) or _is_floating(second):
        return
    if _is_bool(first) and _is_bool(second):
        raise DTypeError(f"\"{name}\" not implemented for 'Bool'. Fix: convert with .int()")
    divisor = numbers(second)
    if divisor is not None and np.any(np.equal(divisor, 0)) and np.size(numbers(first)) != 0:
        raise IntegerDivisionError(
            explain(
                "div",
                "ZeroDivisionError: the divisor holds a zero",
                "integers cannot be divided by zero",
                "convert to float first, which gives inf",
            )
        )


class IntegerDivisionError(DTypeError, ZeroDivisionError):
    """An integer divided by zero."""


def floor_divide(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """floor(input / other), in the common dtype."""
    return deliver(_rounded_quotient(input, other, "floor"), out, "floor_divide")


def remainder(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input - other * floor(input / other): the sign of `other`, as Python's `%`."""
    require_tensors("remainder", input, other, True, True)
    first, second = common("remainder", input, other)
    check_divisor(first, second, "remainder")
    return deliver(apply(p.remainder, first, second), out, "remainder")


def fmod(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """input - other * trunc(input / other): the sign of `input`, as C's `fmod`."""
    require_tensors("fmod", input, other, False, True)
    first, second = common("fmod", input, other)
    check_divisor(first, second, "fmod")
    return deliver(apply(p.fmod, first, second), out, "fmod")


def pow(input: Any, exponent: Any, *, out: Tensor | None = None) -> Tensor:
    """input ** exponent, broadcast.

    Raises:
        RuntimeError: an integer tensor is raised to a negative whole number.
    """
    require_tensors("pow", input, exponent, True, True)
    if isinstance(exponent, bool) and _is_bool(input):
        return deliver(apply(p.or_, input, not exponent), out, "pow")
    if not isinstance(exponent, float) and not _is_floating(input):
        _check_whole_power(input, exponent)
    result = _pow(input, exponent)
    return result if out is None else deliver(result, out, "pow")


def _check_whole_power(base: Any, exponent: Any) -> None:
    """Refuse powers of integers that are no integers of the same dtype, and powers of bools."""
    if _is_bool(base) and _is_bool(exponent):
        raise DTypeError("\"pow\" not implemented for 'Bool'. Fix: convert with .int()")
    if isinstance(exponent, (Tensor, bool)):
        return
    if exponent < 0:
        raise DTypeError(
            "Integers to negative integer powers are not allowed. Fix: convert to float first"
        )
    dtype = base._value.dtype
    if dtype.kind in "iu" and exponent > np.iinfo(dtype).max:
        raise DTypeError(f"value cannot be converted to type {dtype} without overflow: {exponent}")


def float_power(input: Any, exponent: Any) -> Tensor:
    """input ** exponent in float64."""
    require_tensors("float_power", input, exponent, True, True)
    first, second = as_operand(input, "float_power"), as_operand(exponent, "float_power")
    return _pow(converted(first, FLOAT64), converted(second, FLOAT64))


def square(input: Tensor) -> Tensor:
    """input * input."""
    return pow(require_tensor(input, "square"), 2)


def atan2(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
    """The angle of the point (other, input), from -pi to pi."""
    require_tensors("atan2", input, other, False, False)
    first, second = common("atan2", input, other, floating=True)
    return deliver(_atan2(first, second), out, "atan2")


true_divide, subtract, multiply, divide, arctan2 = div, sub, mul, div, atan2


def _of_two(
    operation: Any,
    text: str,
    floating: bool = False,
    number_first: bool = False,
    number_second: bool = False,
    only_floats: bool = False,
) -> Any:
    """A function of two operands in their common dtype; one of them may be a number if said."""
    plain = not floating and not only_floats and operation.kind != "composite"
    short = binary(operation) if plain else None

    def function(input: Any, other: Any, *, out: Tensor | None = None) -> Tensor:
        if short is not None and out is None:
            if input.__class__ is Tensor and other.__class__ is Tensor:
                return short(input, other)
        require_tensors(operation.name, input, other, number_first, number_second)
        operands = common(operation.name, input, other, floating=floating)
        if only_floats and not _is_floating(operands[0]):
            raise refuse_dtype(operation.name, operands[0], "it needs floating point numbers")
        if operation.kind == "composite":
            dtype = next(x._value.dtype for x in operands if isinstance(x, Tensor))
            operands = [no_number(x, dtype) for x in operands]
        return deliver(apply(operation, *operands), out, operation.name)

    function.__name__ = function.__qualname__ = operation.name
    function.__doc__ = text
    return function


maximum = _of_two(p.maximum, "The larger of two, element by element; NaN wins.")
minimum = _of_two(p.minimum, "The smaller of two, element by element; NaN wins.")
fmax = _of_two(p.fmax, "The larger of two; a number wins over NaN.")
fmin = _of_two(p.fmin, "The smaller of two; a number wins over NaN.")
hypot = _of_two(p.hypot, "sqrt(input ** 2 + other ** 2).", only_floats=True)
logaddexp = _of_two(
    p.logaddexp, "log(exp(input) + exp(other)), without overflow.", only_floats=True
)
logaddexp2 = _of_two(p.logaddexp2, "log2(2 ** input + 2 ** other).", only_floats=True)
copysign = _of_two(
    p.copysign, "The size of input with the sign of other.", floating=True, number_second=True
)
xlogy = _of_two(
    p.xlogy, "input * log(other); 0 where input is 0.", floating=True,
    number_first=True, number_second=True,
)  # fmt: skip


# --- three operands --------------------------------------------------------------------------


def addcmul(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1, out: Tensor | None = None
) -> Tensor:
    """input + value * tensor1 * tensor2."""
    return deliver(apply_common(p.addcmul, input, tensor1, tensor2, value=value), out, "addcmul")


def addcdiv(
    input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1, out: Tensor | None = None
) -> Tensor:
    """input + value * tensor1 / tensor2.

    Raises:
        TypeError: both parts of the quotient are integers.
    """
    if not _is_floating(tensor1) and not _is_floating(tensor2):
        raise DTypeError(
            "Integer division with addcdiv is no longer supported. Fix: convert one to float"
        )
    return deliver(apply_common(p.addcdiv, input, tensor1, tensor2, value=value), out, "addcdiv")


def lerp(input: Tensor, end: Tensor, weight: Any, *, out: Tensor | None = None) -> Tensor:
    """input + weight * (end - input).

    Raises:
        TypeError: when the dtypes differ.
    """
    for other in (end, weight):
        if isinstance(other, Tensor) and other._value.dtype != input._value.dtype:
            raise DTypeError(
                f"expected dtype {input.dtype} for `end` and `weight`, got {other.dtype}"
            )
    if not _is_floating(input):
        raise refuse_dtype("lerp", input, "it needs floating point numbers")
    weight = weight if isinstance(weight, Tensor) else float(weight)
    return deliver(apply(p.lerp, input, end, weight), out, "lerp")


def clamp(input: Tensor, min: Any = None, max: Any = None, *, out: Tensor | None = None) -> Tensor:
    """min(max(input, min), max); a limit is a number, a tensor, or None.

    Raises:
        RuntimeError: when both limits are missing.

    >>> import narae
    >>> narae.clamp(narae.tensor([-1.0, 0.5, 3.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if min is None and max is None:
        raise ShapeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    require_tensor(input, "clamp")
    return deliver(apply_common(p.clamp, input, min, max), out, "clamp")


def clamp_min(input: Tensor, min: Any, *, out: Tensor | None = None) -> Tensor:
    """max(input, min)."""
    return clamp(input, min=min, out=out)


def clamp_max(input: Tensor, max: Any, *, out: Tensor | None = None) -> Tensor:
    """min(input, max)."""
    return clamp(input, max=max, out=out)


clip = clamp


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """input where the condition holds, other elsewhere; alone, the positions where it holds.

    Raises:
        TypeError: when the condition is not a bool tensor.
    """
    if input is None and other is None:
        return condition.nonzero(as_tuple=True)
    if not isinstance(condition, Tensor) or condition._value.dtype.kind != "b":
        kind = condition.dtype if isinstance(condition, Tensor) else type(condition).__name__
        raise DTypeError(
            explain("where", f"the condition is {kind}", "where expected condition to be a boolean "
                    "tensor", "compare first: x > 0")
        )  # fmt: skip
    first, second = common("where", input, other)
    return apply(p.where, condition, first, second)


def tensor_where(self: Tensor, condition: Tensor, other: Any) -> Tensor:
    """self where the condition holds, other elsewhere."""
    return where(condition, self, other)  # type: ignore[no-any-return]


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """value where the mask holds, input elsewhere; the dtype stays.

    Args:
        input: any tensor.
        mask: a bool tensor that broadcasts.
        value: a number or a 0-d tensor.

    Raises:
        TypeError: for a mask that is not bool.
        ValueError: for a value with dimensions.
    """
    if mask._value.dtype.kind != "b":
        raise DTypeError(
            f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype}"
        )
    if isinstance(value, Tensor) and value._value.ndim:
        raise ShapeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{value.ndim} dimension(s)."
        )
    value = converted(as_operand(value, "masked_fill"), input._value.dtype)
    return apply(p.masked_fill, input, mask, value)  # type: ignore[no-any-return]


def nan_to_num(
    input: Tensor, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """Numbers in place of NaN and infinities; the largest and smallest finite ones by default."""
    dtype = input._value.dtype
    if not is_floating(dtype):
        return apply(p.copy, input)  # type: ignore[no-any-return]
    import ml_dtypes

    limits: Any = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    high = float(limits.max) if posinf is None else posinf
    low = float(limits.min) if neginf is None else neginf
    nan = 0.0 if nan is None else nan
    attrs = {"nan": float(nan), "posinf": float(high), "neginf": float(low)}
    return apply(p.nan_to_num, input, **attrs)  # type: ignore[no-any-return]


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """input * 2 ** other."""
    require_tensor(input, "ldexp")
    return _mul(input, _pow(2.0, as_float(other)))


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two shapes are equal."""
    return input.shape == other.shape


# --- operators -------------------------------------------------------------------------------


def _divmod(self: Tensor, other: Any) -> tuple[Tensor, Tensor]:
    return floor_divide(self, other), remainder(self, other)


def _in_place_operator(function: Any, name: str) -> Any:
    write = in_place(function, name)

    def method(self: Tensor, other: Any) -> Any:
        return write(self, other)

    return method


OPERATORS = {
    "__add__": operator(_add),
    "__radd__": operator(_add, reflected=True),
    "__sub__": operator(sub),
    "__rsub__": operator(sub, reflected=True),
    "__mul__": operator(_mul),
    "__rmul__": operator(_mul, reflected=True),
    "__truediv__": operator(div),
    "__rtruediv__": operator(div, reflected=True),
    "__div__": operator(div),
    "__rdiv__": operator(div, reflected=True),
    "__floordiv__": operator(floor_divide),
    "__rfloordiv__": operator(floor_divide, reflected=True),
    "__mod__": operator(remainder),
    "__rmod__": operator(remainder, reflected=True),
    "__pow__": operator(pow),
    "__rpow__": operator(_pow, reflected=True),
    "__divmod__": _divmod,
    "__iadd__": _in_place_operator(add, "add_"),
    "__isub__": _in_place_operator(sub, "sub_"),
    "__imul__": _in_place_operator(mul, "mul_"),
    "__itruediv__": _in_place_operator(div, "div_"),
    "__ifloordiv__": _in_place_operator(floor_divide, "floor_divide_"),
    "__imod__": _in_place_operator(remainder, "remainder_"),
    "__ipow__": _in_place_operator(pow, "pow_"),
    "where": tensor_where,
}

__all__ = [
    "add", "addcdiv", "addcmul", "arctan2", "atan2", "clamp", "clamp_max", "clamp_min", "clip",
    "copysign", "div", "divide", "float_power", "floor_divide", "fmax", "fmin", "fmod",
    "hypot", "ldexp", "lerp", "logaddexp", "logaddexp2", "masked_fill", "maximum", "minimum",
    "mul", "multiply", "nan_to_num", "pow", "remainder", "rsub", "square", "sub", "subtract",
    "true_divide", "where", "xlogy",
]  # fmt: skip
METHODS = [*(name for name in __all__ if name not in ("rsub", "where")), "is_same_size"]
IN_PLACE = [
    "add", "addcdiv", "addcmul", "arctan2", "atan2", "clamp", "clamp_max", "clamp_min", "clip",
    "copysign", "div", "divide", "float_power", "floor_divide", "fmod", "hypot", "ldexp",
    "lerp",
    "masked_fill", "mul", "multiply", "nan_to_num", "pow", "remainder", "square", "sub",
    "subtract", "true_divide", "xlogy",
]  # fmt: skip
